use remote_object::prelude::*;
use remote_object::{RemoteObject, TypeDef};

/// A bank account.
#[remote_object]
struct Account {
    owner: Option<String>,
    balance: i64,
}

#[remote_object]
impl Account {
    /// What is there.
    pub fn balance(&self) -> i64 {
        self.balance
    }

    pub fn deposit(&mut self, amount: u32) -> i64 {
        self.balance += i64::from(amount);
        self.balance
    }

    pub fn withdraw(&mut self, _cx: &Context, amount: u32) -> Result<i64, BankError> {
        if self.balance < amount.into() {
            return Err(BankError::Insufficient { balance: self.balance });
        }
        Ok(self.balance)
    }

    pub async fn pull(&mut self, cx: &Context, from: Remote<Self>, amount: u32) -> Result<(), BankError> {
        cx.call(from.withdraw(amount)).await?;
        self.balance += i64::from(amount);
        Ok(())
    }

    pub async fn sum(&self, cx: &ViewContext, others: Vec<Remote<Account>>) -> Result<i64> {
        let mut sum = self.balance;
        for other in others {
            sum += cx.call(other.balance()).await.map_err(Error::from)?;
        }
        Ok(sum)
    }
}

/// What a bank says.
#[derive(RemoteError, Debug)]
enum BankError {
    /// There is not enough money.
    #[status(402)]
    Insufficient { balance: i64 },
    #[transparent]
    Failed(Error),
}

#[test]
fn table() {
    let def = TypeDef::of::<Account>();
    assert_eq!(def.name, "account");
    let names: Vec<_> = Account::methods().iter().map(|m| m.name).collect();
    assert_eq!(names, ["balance", "deposit", "withdraw", "pull", "sum"]);
}
