// The first program of the documentation.
use remote_object::prelude::*;

#[remote_object]
pub struct Account {
    owner: Option<String>,
    balance: i64,
}

#[remote_object]
impl Account {
    pub fn balance(&self) -> i64 {
        self.balance
    }

    pub fn deposit(&mut self, amount: u32) -> i64 {
        self.balance += i64::from(amount);
        self.balance
    }

    pub fn withdraw(&mut self, amount: u32) -> Result<i64, BankError> {
        if self.balance < amount.into() {
            return Err(BankError::Insufficient { balance: self.balance });
        }
        self.balance -= i64::from(amount);
        Ok(self.balance)
    }

    pub async fn collect(&mut self, cx: &Context, from: Remote<Account>, amount: u32) -> Result<i64> {
        cx.call(from.withdraw(amount)).await?;
        self.owner.get_or_insert_default();
        Ok(self.deposit(amount))
    }
}

#[derive(RemoteError)]
pub enum BankError {
    #[status(402)]
    Insufficient { balance: i64 },
}

fn main() {
    let _ = Remote::<Account>::new("alice").deposit(5);
}
