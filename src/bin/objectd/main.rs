//! `objectd`: the server with the sample objects.

mod account;
mod cart;
mod counter;
mod product;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> remote_object::Result<()> {
    remote_object::serve().await
}
