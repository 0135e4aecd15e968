//! An account with money on it.

use remote_object::prelude::*;

/// An account with money on it. It takes deposits before it has an owner.
#[remote_object]
pub(crate) struct Account {
    /// Who opened it; null until somebody has.
    owner: Option<String>,
    /// What is on it, in the smallest unit of the currency. Never negative.
    balance: i64,
}

#[remote_object]
impl Account {
    /// Gives the account its owner, once.
    pub fn open(&mut self, owner: String) -> Result<(), AccountError> {
        if self.owner.is_some() {
            return Err(AccountError::AlreadyOpen);
        }
        self.owner = Some(owner);
        Ok(())
    }

    /// Answers what is on the account.
    pub fn balance(&self) -> i64 {
        self.balance
    }

    /// Adds `amount` and answers the new balance.
    pub fn deposit(&mut self, amount: u32) -> i64 {
        self.balance = self.balance.saturating_add(amount.into());
        self.balance
    }

    /// Takes `amount` away, if there is as much, and answers the new balance.
    pub fn withdraw(&mut self, amount: u32) -> Result<i64, AccountError> {
        if self.balance < amount.into() {
            return Err(AccountError::Insufficient { balance: self.balance });
        }
        self.balance -= i64::from(amount);
        Ok(self.balance)
    }
}

/// Why an account refuses.
#[derive(Debug, PartialEq, Eq, RemoteError)]
pub(crate) enum AccountError {
    /// The account has an owner already.
    #[status(409)]
    AlreadyOpen,
    /// There is less on the account than was asked for.
    #[status(402)]
    Insufficient {
        /// What is on it.
        balance: i64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_withdraws_more_than_there_is() {
        let mut account = Account::default();
        assert_eq!(account.deposit(10), 10);
        assert_eq!(account.withdraw(4), Ok(6));
        assert_eq!(account.withdraw(7), Err(AccountError::Insufficient { balance: 6 }));
        assert_eq!(account.balance(), 6);
    }

    #[test]
    fn an_account_is_opened_once() {
        let mut account = Account::default();
        assert_eq!(account.open("alice".into()), Ok(()));
        assert_eq!(account.open("bob".into()), Err(AccountError::AlreadyOpen));
        assert_eq!(account.owner.as_deref(), Some("alice"));
    }
}
