//! A promise: what a figure must be, what it should be, and whether it is.

/// One promise.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    /// What is promised.
    pub(crate) what: String,
    /// What was measured.
    pub(crate) value: Option<f64>,
    /// What it must be.
    pub(crate) must: Option<f64>,
    /// What it should be.
    pub(crate) aim: Option<f64>,
    /// `>=` for what should be large, `<=` for what should be small.
    pub(crate) at_least: bool,
    /// The unit.
    pub(crate) unit: &'static str,
}

impl Promise {
    /// The heads of the table of promises behind the first one, which says whose they are.
    pub(crate) const HEADS: [&str; 4] = ["measured", "must", "aim", "reached"];

    /// A row of that table; `None` when nothing was measured.
    pub(crate) fn row(&self) -> Option<Vec<String>> {
        let value = self.value?;
        let reached = |limit: f64| if self.at_least { value >= limit } else { value <= limit };
        let sign = if self.at_least { "≥" } else { "≤" };
        let shown = |limit: Option<f64>| limit.map_or(String::new(), |limit| format!("{sign} {}", self.number(limit)));
        let verdict = match (self.must.is_none_or(reached), self.aim.is_none_or(reached)) {
            (false, _) => "**no**",
            (true, true) if self.aim.is_some() => "aim",
            (true, _) if self.must.is_some() => "must",
            _ => "",
        };
        Some(vec![self.what.clone(), self.number(value), shown(self.must), shown(self.aim), verdict.to_owned()])
    }

    fn number(&self, value: f64) -> String {
        let digits = if self.unit == "×" || self.unit == "fdatasyncs" { 2 } else { 0 };
        format!("{value:.digits$} {}", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_not_kept_says_no() {
        let promise = |value, at_least| Promise {
            what: "a".into(),
            value: Some(value),
            must: Some(2.0),
            aim: Some(3.0),
            at_least,
            unit: "×",
        };
        let verdict = |promise: Promise| promise.row().unwrap()[4].clone();
        assert_eq!(verdict(promise(1.9, true)), "**no**");
        assert_eq!(verdict(promise(2.0, true)), "must");
        assert_eq!(verdict(promise(3.0, true)), "aim");
        let small = Promise { must: Some(3.0), aim: Some(2.0), ..promise(3.1, false) };
        assert_eq!(verdict(small), "**no**");
        let told_alone = Promise { must: None, aim: None, ..promise(1.0, true) };
        assert_eq!(verdict(told_alone), "");
    }
}
