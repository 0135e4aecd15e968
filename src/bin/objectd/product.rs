//! Something to sell.

use remote_object::prelude::*;

/// Something to sell, and how many of it there are.
#[remote_object(replace, delete)]
pub(crate) struct Product {
    /// What it is called.
    name: String,
    /// What one of it costs, in the smallest unit of the currency.
    price: i64,
    /// How many there are.
    stock: u32,
}

#[remote_object]
impl Product {
    /// Answers what one of it costs.
    pub fn price(&self) -> i64 {
        self.price
    }

    /// Takes `quantity` out of the stock, if there are as many, and answers how many are left.
    pub fn take(&mut self, quantity: u32) -> Result<u32, ProductError> {
        let left = self.stock.checked_sub(quantity);
        self.stock = left.ok_or(ProductError::OutOfStock { stock: self.stock })?;
        Ok(self.stock)
    }

    /// Puts `quantity` back into the stock and answers how many there are.
    pub fn give_back(&mut self, quantity: u32) -> u32 {
        self.stock = self.stock.saturating_add(quantity);
        self.stock
    }
}

/// Why a product cannot be taken.
#[derive(Debug, PartialEq, Eq, RemoteError)]
pub(crate) enum ProductError {
    /// There are fewer in stock than were asked for.
    #[status(409)]
    OutOfStock {
        /// How many there are.
        stock: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_there_are() {
        let mut product = Product { stock: 3, ..Product::default() };
        assert_eq!(product.take(2), Ok(1));
        assert_eq!(product.take(2), Err(ProductError::OutOfStock { stock: 1 }));
        assert_eq!(product.give_back(2), 3);
    }
}
