//! The sample types of `objectd`, seen as their tables.

#[path = "../../src/bin/objectd/account.rs"]
mod account;
#[path = "../../src/bin/objectd/cart.rs"]
mod cart;
#[path = "../../src/bin/objectd/counter.rs"]
mod counter;
#[path = "../../src/bin/objectd/product.rs"]
mod product;
