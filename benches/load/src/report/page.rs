//! `docs/performance.md`: each benchmark writes between its own two marks and nowhere else.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The part of the page that one command writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    /// The command.
    pub(crate) command: &'static str,
}

impl Section {
    /// Puts a report between the marks.
    ///
    /// # Errors
    /// When the page has lost them, or cannot be written.
    pub(crate) fn write(self, text: &str) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
        let old = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, self.replaced(&old, text)?)?;
        println!("written to docs/performance.md");
        Ok(())
    }

    fn mark(self, which: &str) -> String {
        format!("<!-- written by `{}`: {which} -->\n", self.command)
    }

    fn replaced(self, old: &str, text: &str) -> Result<String> {
        let (begin, end) = (self.mark("begin"), self.mark("end"));
        let (Some((before, _)), Some((_, after))) = (old.split_once(&begin), old.split_once(&end)) else {
            bail!("docs/performance.md has lost the two marks of `{}`, between which its figures stand", self.command);
        };
        Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_a_commands_own_marks_is_replaced() {
        let (one, other) = (Section { command: "cargo xtask bench" }, Section { command: "cargo xtask bench --stack" });
        let part = |section: Section, text| format!("{}{text}{}", section.mark("begin"), section.mark("end"));
        let old = format!("a\n{}b\n{}c\n", part(one, "old\n"), part(other, "other\n"));
        let new = one.replaced(&old, "new").unwrap();
        assert_eq!(new, format!("a\n{}b\n{}c\n", part(one, "\nnew\n"), part(other, "other\n")));
        assert_eq!(one.replaced(&new, "new").unwrap(), new);
        let both = other.replaced(&new, "newer").unwrap();
        assert_eq!(both, format!("a\n{}b\n{}c\n", part(one, "\nnew\n"), part(other, "\nnewer\n")));
        assert!(one.replaced("a\n", "new").is_err());
    }
}
