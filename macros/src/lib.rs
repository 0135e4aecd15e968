//! The attributes of remote-object, re-exported there as `remote_object`, `remote_value` and `RemoteError`.
//!
//! This file holds the doors and their reference; the logic stands behind them: `item` finds out what an attribute
//! stands on, `state`, `methods` and `errors` read it, `faults` collects what is wrong, `expand` writes the code.

mod args;
mod errors;
mod expand;
mod faults;
mod item;
mod methods;
mod state;
mod types;
mod words;

use proc_macro::TokenStream;

/// Makes a struct a type of durable objects, and its methods callable from anywhere. It stands twice: on the struct,
/// and on one impl block.
///
/// ```
/// use remote_object::prelude::*;
///
/// /// A bank account.
/// #[remote_object]
/// pub struct Account {
///     owner: Option<String>,
///     balance: i64,
/// }
///
/// #[remote_object]
/// impl Account {
///     /// Answers what is on it.
///     pub fn balance(&self) -> i64 {
///         self.balance
///     }
///
///     /// Adds `amount`, and answers the new balance.
///     pub fn deposit(&mut self, amount: u32) -> i64 {
///         self.balance += i64::from(amount);
///         self.balance
///     }
///
///     /// Takes `amount` from another account.
///     pub async fn collect(&mut self, cx: &Context, from: Remote<Account>, amount: u32) -> Result<i64, BankError> {
///         cx.call(from.withdraw(amount)).await?;
///         Ok(self.deposit(amount))
///     }
///
///     /// Takes `amount` away.
///     pub fn withdraw(&mut self, amount: u32) -> Result<i64, BankError> {
///         if self.balance < amount.into() {
///             return Err(BankError::Insufficient { balance: self.balance });
///         }
///         self.balance -= i64::from(amount);
///         Ok(self.balance)
///     }
/// }
///
/// /// Why the bank says no.
/// #[derive(RemoteError)]
/// pub enum BankError {
///     /// There is not enough on the account.
///     #[status(402)]
///     Insufficient { balance: i64 },
///     /// The other account did not answer.
///     #[transparent]
///     Failed(Error),
/// }
///
/// // A call is a value. It is run by `cx.call`, `host.call` or a client.
/// let call = Remote::<Account>::new("alice").deposit(5);
/// # let _ = call;
/// ```
///
/// # On the struct
///
/// A struct with named fields and without generics: the state, a JSON object. What is not derived yet of `Clone`,
/// `Default`, `Serialize`, `Deserialize` and `JsonSchema` is derived, from the library's own re-exports, so that a crate
/// needs no other dependency. Write the attribute *before* other derives, which it then sees. Attributes of serde and
/// schemars work as ever. A state is stored for years: give a field that is added later a `#[serde(default)]`; members
/// that are gone are passed over. Its doc comments become the descriptions of the API.
///
/// | key | meaning | without it |
/// |---|---|---|
/// | `name = "…"` | the type's name in URIs: kebab-case, at most 64 bytes | the struct's name in kebab-case |
/// | `replace` | PUT, PATCH and POST may write the whole state | 405 |
/// | `delete` | DELETE ends an object's life | 405 |
/// | `require_match` | what changes an object must carry `If-Match`, or `If-None-Match` (`*` to create) | it may |
/// | `keyed_calls = 256` | so many calls with an `Idempotency-Key` are remembered by each object | 256 |
/// | `keyed_bytes = 65536` | so many bytes of their replies | 65536 |
/// | `cache_pool = "…"` | its objects are in the shared cache of this name in the settings (`cache-pools`) | the shared cache there is, if there is one |
/// | `manual(Default, …)` | these traits are implemented by hand and not derived | all that are missing are |
/// | `crate = "…"` | the path of the library, where it is reached through another crate; on the impl block too | its name in `Cargo.toml` |
///
/// Beside the struct stands a typed reference, `AccountRemote` for `Account`, which `Remote<Account>` dereferences to.
/// The impl block is in the same module, or names the struct by a path (`impl bank::Account`).
///
/// # On the impl block
///
/// One impl block of a type carries it, if need be an empty one. Every `pub` method in it is remote; all others
/// (`pub(crate)` too) are helpers and stay as they are. A remote method has
///
/// - a receiver: `&self` makes it a *view*, which runs beside others and changes nothing, `&mut self` an *edit*, which
///   runs alone, and whose change is durable before anybody is answered;
/// - `async` where it waits for other objects. An async edit has a turn of its own;
/// - at most one context, at any place: `&ViewContext` in a view, `&Context` in an edit. It is known by its name and is
///   no argument. A view's context runs views only;
/// - any number of arguments, by their names members of a JSON object. They are owned and implement `Serialize`,
///   `Deserialize` and `JsonSchema` (`#[remote_value]` on a type of one's own). An `Option` may be left out;
/// - a reply of the same sort, `()` being no content, or a `Result` of one with an error that derives `RemoteError`
///   (or `remote_object::Error`). A type counts as a `Result` when that is its name.
///
/// Its name in URIs is its own in kebab-case. Names that begin with `_` are kept for the library. A function cannot be
/// named `id`, `uri`, or as a method that every `Remote` has by the traits of the prelude, such as `clone`, `eq`, `max`
/// or `to_string`; its name in URIs can.
///
/// | on a method | meaning |
/// |---|---|
/// | `#[remote(name = "…")]` | its name in URIs: kebab-case, at most 64 bytes |
/// | `#[remote(skip)]` | a helper, though it is `pub` |
///
/// A type registers itself with every service of the program it is linked into. A library of which a program uses
/// nothing is not linked, be it the `lib.rs` beside `main.rs`: `use my_objects as _;` in the program brings its types in.
#[proc_macro_attribute]
pub fn remote_object(keys: TokenStream, item: TokenStream) -> TokenStream {
    item::remote_object(keys.into(), item.into()).into()
}

/// Makes a struct or an enum a part of states, arguments, replies and errors: what is not derived yet of `Clone`,
/// `Serialize`, `Deserialize` and `JsonSchema` is derived, from the library's own re-exports. Write it *before* other
/// derives.
///
/// ```
/// use remote_object::prelude::*;
///
/// #[remote_value]
/// #[derive(Debug, PartialEq)]
/// #[serde(rename_all = "kebab-case")]
/// pub enum Colour {
///     LightBlue,
///     Mixed { red: u8, green: u8, blue: u8 },
/// }
/// ```
///
/// | key | meaning |
/// |---|---|
/// | `manual(Clone, …)` | these traits are implemented by hand and not derived |
/// | `crate = "…"` | the path of the library, where it is reached through another crate |
#[proc_macro_attribute]
pub fn remote_value(keys: TokenStream, item: TokenStream) -> TokenStream {
    item::remote_value(keys.into(), item.into()).into()
}

/// Makes an enum the errors of remote methods. Each variant is one problem (RFC 9457) on the wire, and the same variant
/// again at the caller.
///
/// ```
/// use remote_object::prelude::*;
///
/// #[derive(RemoteError)]
/// pub enum ShopError {
///     /// There are not enough of it.
///     #[status(409)]
///     OutOfStock { left: u32 },
///     /// The shop is closed.
///     #[status(503)]
///     #[code("shop-closed")]
///     Closed,
///     /// Another object failed.
///     #[transparent]
///     Failed(Error),
/// }
///
/// let problem = ShopError::OutOfStock { left: 3 }.into_error();
/// assert_eq!(problem.code(), "out-of-stock");
/// assert!(matches!(ShopError::from_error(problem), Ok(ShopError::OutOfStock { left: 3 })));
/// ```
///
/// A variant is a unit or has named fields, which are owned, implement `Serialize`, `Deserialize` and `JsonSchema`, and
/// become members of the problem. They cannot be named as the members every problem has: `type`, `title`, `status`,
/// `detail`, `instance`, `code`, `retryable`, `outcome`, `cycle`. The first paragraph of the doc comment is the
/// `detail`, the sentence that clients read; without one, it is the variant's name in words. The `title` is the code in
/// words.
///
/// | attribute | on | meaning | without it |
/// |---|---|---|---|
/// | `#[status(409)]` | a variant, or the enum for all that say none | the HTTP status: 400 to 599, not 500 | 422 |
/// | `#[code("…")]` | a variant | the problem's `code`: kebab-case, at most 64 bytes, none of the library's own | the name in kebab-case |
/// | `#[transparent]` | one variant that holds a `remote_object::Error` | hands it on with its own status, code and fields; `?` turns the errors of calls into it. The caller gets it as `CallError::Failed` | |
/// | `#[remote_error(crate = "…")]` | the enum | the path of the library, where it is reached through another crate | its name in `Cargo.toml` |
#[proc_macro_derive(RemoteError, attributes(status, code, transparent, remote_error))]
pub fn remote_error(item: TokenStream) -> TokenStream {
    item::remote_error(item.into()).into()
}
