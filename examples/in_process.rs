//! Objects with no HTTP at all: a durable to-do list in a program of one's own. `cargo run --example in_process`

use remote_object::Service;
use remote_object::prelude::*;

/// Things to do.
#[remote_object]
pub struct Todo {
    open: Vec<String>,
}

/// What can go wrong with a list.
#[derive(RemoteError, Debug)]
pub enum TodoError {
    /// There is no such thing on the list
    #[status(404)]
    NotThere {
        /// How many are open.
        open: u32,
    },
}

#[remote_object]
impl Todo {
    /// What is open.
    pub fn open(&self) -> Vec<String> {
        self.open.clone()
    }

    /// Adds a thing; answers how many are open.
    pub fn add(&mut self, what: String) -> u32 {
        self.open.push(what);
        self.open.len() as u32
    }

    /// Takes a thing off the list.
    pub fn done(&mut self, what: String) -> Result<(), TodoError> {
        let Some(at) = self.open.iter().position(|open| *open == what) else {
            return Err(TodoError::NotThere { open: self.open.len() as u32 });
        };
        self.open.remove(at);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let service = Service::builder().store("sqlite:./todo.db").build().await?;
    let host = service.host();
    let mine = Remote::<Todo>::new("mine");

    println!("open since the last time: {:?}", host.call(mine.open()).await?);
    host.call(mine.add("water the plants".into())).await?;
    let open = host.call(mine.add("feed the cat".into())).await?;
    println!("{open} open");
    host.call(mine.done("water the plants".into())).await?;
    // The method's own error comes back as the enum it was.
    match host.call(mine.done("fly".into())).await {
        Err(CallError::Method(TodoError::NotThere { open })) => println!("no such thing; {open} open"),
        other => println!("unexpected: {other:?}"),
    }
    service.stop().await;
    Ok(())
}
