-- The revs of these keys; '' for one that is not there. KEYS: the values.
local revs = {}
for at, key in ipairs(KEYS) do
    revs[at] = redis.call('HGET', key, 'rev') or ''
end
return revs
