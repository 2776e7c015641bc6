//! Orders and receipts: the JSON of `POST /orders`.

use serde::{Deserialize, Serialize};

/// What a customer asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) items: Vec<Item>,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// One line of an order; the price is in cents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) price: u64,
    pub(crate) quantity: u64,
}

/// What the order costs; amounts are in cents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) customer: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) total: u64,
}

/// One line of a receipt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) amount: u64,
}

/// The order's amount does not fit 64 bits.
#[derive(Debug)]
pub(crate) struct TooDear;

impl core::fmt::Display for TooDear {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the order's amount is too large")
    }
}

impl Order {
    /// Prices an order.
    pub(crate) fn price(self) -> Result<Receipt, TooDear> {
        let mut lines = Vec::with_capacity(self.items.len());
        let mut total = 0_u64;
        for item in self.items {
            let amount = item.price.checked_mul(item.quantity).ok_or(TooDear)?;
            total = total.checked_add(amount).ok_or(TooDear)?;
            lines.push(Line { text: format!("{} x {}", item.quantity, item.name), amount });
        }
        Ok(Receipt { customer: self.customer, lines, total })
    }
}
