//! URIs of objects, their percent-encoding, and versions: what is read is written back as one spelling.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remote_object::model::{ObjectKey, ObjectUri, Version, percent_decode};

fuzz_target!(|text: &str| {
    if let Ok(uri) = ObjectUri::parse(text) {
        let written = uri.to_string();
        let again = ObjectUri::parse(&written).expect("what was written is read");
        assert_eq!(again, uri);
        assert_eq!(again.to_string(), written);
    }
    if let Ok(id) = percent_decode(text)
        && let Ok(key) = ObjectKey::new("counter", &id)
    {
        assert_eq!((key.type_name(), key.id()), ("counter", &*id));
        let uri = ObjectUri::parse(&key.path()).expect("what was written is read");
        assert_eq!(*uri.key(), key);
    }
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string(), text);
        assert_eq!(Version::from_u64(version.as_u64()), version);
    }
});
