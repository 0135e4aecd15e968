-- The first schema. A later one is a file 0002.sql that changes this one; PRAGMA user_version says how far a file is.
-- To look inside: sqlite3 objectd.db "select type, id, state from object"

-- Who made the file. Read by people only.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Small values that are changed by compare-and-set on rev.
CREATE TABLE register (
    name  TEXT NOT NULL PRIMARY KEY,
    rev   INTEGER NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row an object, removed by a purge alone; a deleted object has the state ''. Updates go by row, which VACUUM must
-- not change, so it is a column. state is JSON text, meta is MessagePack.
CREATE TABLE object (
    row     INTEGER NOT NULL PRIMARY KEY,
    type    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    state   TEXT NOT NULL,
    meta    BLOB NOT NULL
);
CREATE UNIQUE INDEX object_name ON object (type, id);

-- "Look at this object at due", in milliseconds since the Unix epoch; null when there is nothing to look for.
CREATE TABLE hint (
    shard   INTEGER NOT NULL,
    type    TEXT NOT NULL,
    id      TEXT NOT NULL,
    due     INTEGER,
    version INTEGER NOT NULL,
    PRIMARY KEY (shard, type, id)
) WITHOUT ROWID;
