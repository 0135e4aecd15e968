//! `objectd`: the server with the sample objects.

mod account;
mod cart;
mod counter;
mod product;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> remote_object::Result<()> {
    let builder = remote_object::Service::builder();
    // A test of a rolling upgrade starts this build as if it were of a later release.
    #[cfg(debug_assertions)]
    let builder = if std::env::var_os("OBJECTD_NEXT_FORMAT").is_some() { builder.next_format() } else { builder };
    remote_object::serve_with(builder).await
}
