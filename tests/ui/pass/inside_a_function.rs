// A type inside a function, as in a test.
fn main() {
    use remote_object::{RemoteError, remote_object};

    #[remote_object]
    struct Local {
        value: u8,
    }

    #[remote_object]
    impl Local {
        pub fn value(&self) -> Result<u8, LocalError> {
            Ok(self.value)
        }
    }

    #[derive(RemoteError)]
    enum LocalError {}

    let _ = remote_object::Remote::<Local>::new("a").value();
}
