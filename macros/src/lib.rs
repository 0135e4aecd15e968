//! The attributes of remote-object.
