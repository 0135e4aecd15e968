#![allow(unused)]
use std::rc::Rc;

use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub async fn edit(&mut self) -> u8 {
        let shared = Rc::new(1);
        std::future::ready(()).await;
        *shared
    }

    pub async fn view(&self, cx: &ViewContext, other: Remote<Thing>) -> Result<u8> {
        let shared = Rc::new(1);
        cx.call(other.view(other.clone())).await?;
        Ok(*shared)
    }
}

fn main() {}
