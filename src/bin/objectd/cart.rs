//! A cart: an object that calls others.

use std::time::Duration;

use remote_object::error::Outcome;
use remote_object::prelude::*;

use super::product::{Product, ProductError};

/// How often giving back is tried, and how long between the first two tries; each further pause is twice as long.
const GIVE_BACK_TRIES: u32 = 5;
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(10);

/// What somebody is about to buy.
#[remote_object]
pub(crate) struct Cart {
    /// The products, each once, in the order they were first put in.
    items: Vec<Item>,
}

/// So many of one product.
#[remote_value]
struct Item {
    /// Which product.
    product: Remote<Product>,
    /// How many of it.
    quantity: u32,
}

#[remote_object]
impl Cart {
    /// Sets how many of a product are in the cart; 0 takes it out.
    pub fn put(&mut self, product: Remote<Product>, quantity: u32) {
        match self.items.iter_mut().find(|item| item.product == product) {
            Some(item) => item.quantity = quantity,
            None => self.items.push(Item { product, quantity }),
        }
        self.items.retain(|item| item.quantity > 0);
    }

    /// Asks every product for its price and answers what the cart costs now.
    pub async fn total(&self, cx: &ViewContext) -> Result<i64, CartError> {
        let mut total = 0;
        for item in &self.items {
            total = item.added_to(total, cx.call(item.product.price()).await?)?;
        }
        Ok(total)
    }

    /// Takes every product out of its stock, empties the cart and answers what it cost.
    ///
    /// When one of the products cannot be had, what was taken before is given back and the cart is as it was.
    pub async fn check_out(&mut self, cx: &Context) -> Result<i64, CartError> {
        let mut total = 0;
        for item in &self.items {
            total = item.added_to(total, cx.call(item.product.price()).await?)?;
        }
        for (at, item) in self.items.iter().enumerate() {
            if let Err(why) = item.take(cx).await {
                for taken in &self.items[..at] {
                    taken.give_back(cx).await;
                }
                return Err(why);
            }
        }
        self.items.clear();
        Ok(total)
    }
}

impl Item {
    fn added_to(&self, total: i64, price: i64) -> Result<i64, CartError> {
        let cost = price.checked_mul(self.quantity.into());
        cost.and_then(|cost| total.checked_add(cost)).ok_or(CartError::Overflow)
    }

    async fn take(&self, cx: &Context) -> Result<(), CartError> {
        match cx.call(self.product.take(self.quantity)).await {
            Ok(_left) => Ok(()),
            Err(CallError::Method(ProductError::OutOfStock { .. })) => {
                Err(CartError::OutOfStock { product: self.product.clone() })
            }
            Err(CallError::Failed(error)) => Err(error.into()),
        }
    }

    /// Tries again only where the product certainly has not got it yet, so that nothing is given back twice.
    async fn give_back(&self, cx: &Context) {
        let mut pause = GIVE_BACK_PAUSE;
        for left in (0..GIVE_BACK_TRIES).rev() {
            let Err(error) = cx.call(self.product.give_back(self.quantity)).await.map_err(Error::from) else { return };
            if left == 0 || !error.retryable() || error.outcome() != Outcome::NotExecuted {
                tracing::error!(product = %self.product, quantity = self.quantity, %error, "not given back");
                return;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Why a cart cannot be paid.
#[derive(Debug, RemoteError)]
pub(crate) enum CartError {
    /// There are fewer of a product than the cart holds.
    #[status(409)]
    OutOfStock {
        /// Which product.
        product: Remote<Product>,
    },
    /// The total does not fit a 64-bit number.
    Overflow,
    /// A product did not answer.
    #[transparent]
    Failed(Error),
}
