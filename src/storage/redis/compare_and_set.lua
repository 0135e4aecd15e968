-- Sets a value iff its rev is the one quoted. One step: nothing runs between its commands.
-- KEYS: the value, the index of all keys. ARGV: the rev quoted ('': the key is absent), the new rev, the new value,
-- the key's name in the index.
local there = redis.call('HGET', KEYS[1], 'rev')
if there ~= (ARGV[1] ~= '' and ARGV[1]) then
    -- No key is ever removed: one that had a rev and is not there tells of a server that has gone back.
    return there and 0 or (ARGV[1] ~= '' and -1 or 0)
end
-- The index first: if it cannot be written, nothing is.
if not there then
    redis.call('ZADD', KEYS[2], 0, ARGV[4])
end
redis.call('HSET', KEYS[1], 'rev', ARGV[2], 'value', ARGV[3])
return 1
