//! Which types this service has.

use std::collections::BTreeMap;

use super::object::TypeDef;
use crate::error::{Error, Result};
use crate::model::check_name;

/// A type that registered itself.
#[derive(Debug)]
pub struct Registration {
    /// Its table.
    pub make: fn() -> TypeDef,
}

inventory::collect!(Registration);

/// The types of one service, by name.
#[derive(Debug, Default)]
pub struct Registry {
    types: BTreeMap<&'static str, TypeDef>,
}

impl Registry {
    /// Of every type that is linked into this program, and those given; one given twice counts once.
    ///
    /// # Errors
    /// `config` when there are none, or when two types have one name.
    pub fn new(explicit: &[TypeDef], linked: bool) -> Result<Self> {
        let mut registry = Self::default();
        let of_program = inventory::iter::<Registration>.into_iter().filter(|_| linked).map(|found| (found.make)());
        for def in of_program.chain(explicit.iter().copied()) {
            registry.add(def)?;
        }
        if registry.types.is_empty() {
            return Err(Error::config(
                "this service has no object types: write #[remote_object] on a struct and on its impl block, \
                 or name the type with .object::<T>(); where they are in a library, the program has to use it, if only by \
                 `use my_objects as _;`",
            ));
        }
        Ok(registry)
    }

    fn add(&mut self, def: TypeDef) -> Result<()> {
        check_name(def.name).map_err(|why| Error::config(format!("the type name {:?} {why}", def.name)))?;
        match self.types.insert(def.name, def) {
            // The same table again, explicitly and by itself.
            Some(other) if !std::ptr::eq(other.methods, def.methods) || other.doc != def.doc => Err(Error::config(
                format!("two types are named {:?}; give one of them #[remote_object(name = \"…\")]", def.name),
            )),
            _ => Ok(()),
        }
    }

    /// A type by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TypeDef> {
        self.types.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TypeDef> {
        self.types.values()
    }
}
