//! `#[remote_object]` on an impl block: which methods are remote, and whether they may be.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, PatType, Path, PathArguments,
    ReceiverKind, ReturnType, Safety, Signature, Type, Visibility,
};

use crate::args::{self, MethodKeys};
use crate::faults::Faults;
use crate::types;
use crate::words;

/// What a remote method looks like, for messages.
const SHAPE: &str = "a remote method is `pub fn name(&self, …)` (a view) or `pub fn name(&mut self, …)` (an edit)";

/// Names that a call on a `Remote<T>` finds in `Remote` itself, or in the traits of the prelude, before it looks among
/// the methods of `T`.
const SHADOWED: [&str; 20] = [
    "clamp",
    "clone",
    "clone_from",
    "clone_into",
    "cmp",
    "eq",
    "ge",
    "gt",
    "id",
    "into",
    "le",
    "lt",
    "max",
    "min",
    "ne",
    "partial_cmp",
    "to_owned",
    "to_string",
    "try_into",
    "uri",
];

/// An impl block of remote methods.
pub(crate) struct Methods {
    pub(crate) krate: Path,
    pub(crate) self_ty: Path,
    /// The typed reference, beside the type.
    pub(crate) reference: Path,
    pub(crate) methods: Vec<Method>,
    pub(crate) cfgs: Vec<Attribute>,
}

/// A remote method. Types are as written, `Self` replaced.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    /// Its name in URIs.
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) edit: bool,
    pub(crate) is_async: bool,
    pub(crate) inputs: Vec<Input>,
    pub(crate) output: Output,
    /// `#[cfg]` and `#[deprecated]`, which the reference's method gets too.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) deprecated: Option<Attribute>,
}

impl Method {
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Argument(argument) => Some(argument),
            Input::Context { .. } => None,
        })
    }

    pub(crate) fn has_context(&self) -> bool {
        self.inputs.len() > self.arguments().count()
    }
}

/// A parameter after `self`.
pub(crate) enum Input {
    Context { by_reference: bool },
    Argument(Argument),
}

/// A named argument.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    /// Its name in JSON.
    pub(crate) name: String,
    pub(crate) ty: TokenStream,
    /// It may be left out.
    pub(crate) optional: bool,
}

/// What a method answers.
pub(crate) enum Output {
    Unit,
    Value(TokenStream),
    /// A `Result`, whose reply is `()` where `unit`.
    Fallible {
        ty: TokenStream,
        unit: bool,
    },
}

/// Reads the block and takes our attributes off its methods. `None` when it cannot hold remote methods at all.
pub(crate) fn read(keys: TokenStream, item: &mut ItemImpl, faults: &mut Faults) -> Option<Methods> {
    let krate = args::impl_keys(keys, faults).unwrap_or_else(args::default_crate);
    let self_ty = target(item, faults);
    let mut methods: Vec<Method> = Vec::new();
    for item in &mut item.items {
        match item {
            ImplItem::Fn(function) => {
                let before = faults.count();
                let method = read_method(function, self_ty.as_ref(), faults);
                methods.extend(method.filter(|_| !faults.more_than(before)));
            }
            other => refuse_keys(other, faults),
        }
    }
    check_duplicates(&mut methods, faults);
    let self_ty = self_ty?;
    Some(Methods {
        krate,
        reference: types::beside(&self_ty, "Remote"),
        self_ty,
        methods,
        cfgs: crate::state::cfgs(&item.attrs),
    })
}

/// The type the block is for.
fn target(item: &ItemImpl, faults: &mut Faults) -> Option<Path> {
    if let Some((of, _)) = &item.trait_ {
        faults.at(
            of,
            "remote methods stand in an impl block of the type itself: write `#[remote_object]` on `impl Type { … }` \
             and leave this one without",
        );
        return None;
    }
    let generic = crate::state::check_generics(&item.generics, "a type of remote objects", faults);
    if let Some(token) = &item.unsafety {
        faults.at(token, "an impl block of remote methods is a plain one: leave `unsafe` out");
    }
    let path = match types::bare(&item.self_ty) {
        Type::Path(of) if of.qself.is_none() => &of.path,
        other => {
            faults.at(other, "remote methods belong to a struct with `#[remote_object]`: name it here");
            return None;
        }
    };
    if let Some(last) = path.segments.last().filter(|last| !last.arguments.is_none()) {
        if !generic {
            faults.at(&last.arguments, "a type of remote objects is not generic: leave the arguments out");
        }
        return None;
    }
    (!generic).then(|| path.clone())
}

/// `#[remote]` on a thing that is no method.
fn refuse_keys(item: &mut ImplItem, faults: &mut Faults) {
    let attrs = match item {
        ImplItem::Const(item) => &mut item.attrs,
        ImplItem::Type(item) => &mut item.attrs,
        ImplItem::Macro(item) => &mut item.attrs,
        _ => return,
    };
    attrs.retain(|attr| {
        let ours = attr.path().is_ident("remote");
        if ours {
            faults.at(attr, "`#[remote]` stands on methods only: leave it out");
        }
        !ours
    });
}

fn check_duplicates(methods: &mut Vec<Method>, faults: &mut Faults) {
    let mut seen: Vec<(String, Ident, bool)> = Vec::new();
    methods.retain(|method| {
        let under_cfg = !method.cfgs.is_empty();
        let other = seen.iter().find(|(name, _, other_cfg)| *name == method.name && !(under_cfg || *other_cfg));
        let fault = other.map(|(_, other, _)| {
            Error::new(
                method.ident.span(),
                format!(
                    "`{}` and `{other}` have one name in URIs, `{}`: give one of them another, \
                     `#[remote(name = \"…\")]`",
                    method.ident, method.name
                ),
            )
        });
        seen.push((method.name.clone(), method.ident.clone(), under_cfg));
        let once = fault.is_none();
        fault.into_iter().for_each(|fault| faults.take(fault));
        once
    });
}

/// A method, or `None` for a helper.
fn read_method(function: &mut ImplItemFn, self_ty: Option<&Path>, faults: &mut Faults) -> Option<Method> {
    let keys = MethodKeys::take(&mut function.attrs, faults);
    let sig = &function.sig;
    if !matches!(function.vis, Visibility::Public(_)) {
        if keys.is_some() {
            faults.at(&sig.ident, "only `pub` methods are remote: leave `#[remote(…)]` out, or write `pub`");
        }
        return None;
    }
    let keys = keys.unwrap_or_default();
    if keys.skip {
        if let Some(name) = keys.name {
            faults.at(&name, "a skipped method is not remote and needs no name: leave `name` or `skip` out");
        }
        return None;
    }
    check_qualifiers(sig, faults);
    let name = uri_name(&sig.ident, &keys, faults);
    let edit = receiver(sig, faults);
    let inputs = inputs(sig, edit, self_ty, faults);
    let output = output(&sig.output, self_ty, faults);
    Some(Method {
        ident: sig.ident.clone(),
        name,
        doc: words::docs(&function.attrs),
        edit: edit?,
        is_async: sig.asyncness.is_some(),
        inputs,
        output,
        cfgs: crate::state::cfgs(&function.attrs),
        deprecated: function.attrs.iter().find(|attr| attr.path().is_ident("deprecated")).cloned(),
    })
}

fn check_qualifiers(sig: &Signature, faults: &mut Faults) {
    let mut refuse = |what: &dyn ToTokens, word: &str| {
        faults.at(what, format!("a remote method is called by name from anywhere: leave `{word}` out"));
    };
    if let Safety::Unsafe(token) = &sig.safety {
        refuse(token, "unsafe");
    }
    if let Some(abi) = &sig.abi {
        refuse(abi, "extern");
    }
    if let Some(token) = &sig.constness {
        refuse(token, "const");
    }
    if let Some(variadic) = &sig.variadic {
        refuse(variadic, "...");
    }
    let generics = &sig.generics;
    if !generics.params.is_empty() || generics.where_clause.is_some() {
        let why = "a remote method is not generic: name the types, and leave lifetimes to the compiler";
        match generics.params.is_empty() {
            true => faults.at(&generics.where_clause, why),
            false => faults.at(generics, why),
        }
    }
}

fn uri_name(ident: &Ident, keys: &MethodKeys, faults: &mut Faults) -> String {
    let text = words::text(ident);
    let name = keys.name.as_ref().map_or_else(|| words::kebab(&text), |name| name.value());
    if text.starts_with('_') && keys.name.is_none() {
        faults.at(
            ident,
            format!(
                "names that begin with `_` are kept for the library: name it `{}`, or make it a helper by leaving \
                 `pub` out",
                text.trim_start_matches('_')
            ),
        );
    } else if SHADOWED.contains(&text.as_str()) {
        faults.at(
            ident,
            format!(
                "`remote.{text}()` is something else already, so nobody could call this method: name the function \
                 otherwise and write `#[remote(name = \"{}\")]` to keep the name in URIs",
                words::kebab(&text)
            ),
        );
    } else if let Err(why) = words::check_name(&name) {
        faults.at(ident, format!("the method name {name:?} {why}; give another: `#[remote(name = \"…\")]`"));
    }
    name
}

/// Whether it is an edit, if that can be said.
fn receiver(sig: &Signature, faults: &mut Faults) -> Option<bool> {
    let Some(receiver) = sig.receiver() else {
        faults.at(
            &sig.ident,
            format!("{SHAPE}: write the receiver, or make this a helper (leave `pub` out, or `#[remote(skip)]`)"),
        );
        return None;
    };
    let fault = match &receiver.kind {
        ReceiverKind::Reference(_, None, mutability) => return Some(mutability.is_some()),
        ReceiverKind::Reference(_, Some(lifetime), mutability) => {
            if sig.generics.params.is_empty() {
                faults.at(lifetime, "the receiver lives as long as the call: leave the lifetime out");
            }
            return Some(mutability.is_some());
        }
        ReceiverKind::Typed(_, ty) => match types::bare(ty) {
            Type::Reference(of) if types::is_self(&of.elem) => return Some(of.mutability.is_some()),
            other => other.to_token_stream(),
        },
        _ => receiver.to_token_stream(),
    };
    faults.at(&fault, format!("the object stays where it is and the method borrows it; {SHAPE}"));
    None
}

fn inputs(sig: &Signature, edit: Option<bool>, self_ty: Option<&Path>, faults: &mut Faults) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut has_context = false;
    for input in &sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("cfg")) {
            faults.at(attr, "the arguments of a method are always the same: write `#[cfg]` on two methods instead");
        }
        let Some(context) = types::context(&input.ty) else {
            inputs.extend(argument(input, self_ty, faults).map(Input::Argument));
            continue;
        };
        if has_context {
            faults.at(&input.ty, "a method is given one context: leave the second out");
        }
        has_context = true;
        if context.by_mut {
            faults.at(&input.ty, format!("the context is shared: `&{}`", context.name));
        }
        match edit {
            Some(true) if context.of_view => faults.at(
                &input.ty,
                "a `&mut self` method is an edit, and an edit is given a `&Context`: write that, or make it a view \
                 with `&self`",
            ),
            Some(false) if !context.of_view => faults.at(
                &input.ty,
                "a `&self` method is a view, and a view is given a `&ViewContext`: write that, or make it an edit \
                 with `&mut self`",
            ),
            _ => inputs.push(Input::Context { by_reference: context.by_reference }),
        }
    }
    inputs
}

fn argument(input: &PatType, self_ty: Option<&Path>, faults: &mut Faults) -> Option<Argument> {
    types::check_owned(&input.ty, "an argument", faults);
    let ident = match &*input.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => &pat.ident,
        other => {
            faults.at(
                other,
                "an argument has a name, which is its name in JSON: write `name: Type` and take it apart in the body",
            );
            return None;
        }
    };
    Some(Argument {
        ident: ident.clone(),
        name: words::text(ident),
        ty: types::without_self(&input.ty, self_ty),
        optional: types::last_ident(&input.ty).is_some_and(|last| last == "Option"),
    })
}

fn output(output: &ReturnType, self_ty: Option<&Path>, faults: &mut Faults) -> Output {
    let ReturnType::Type(_, ty) = output else { return Output::Unit };
    if types::is_unit(ty) {
        return Output::Unit;
    }
    types::check_owned(ty, "a reply", faults);
    let tokens = types::without_self(ty, self_ty);
    let Type::Path(path) = types::bare(ty) else { return Output::Value(tokens) };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Result") else {
        return Output::Value(tokens);
    };
    let unit = match &last.arguments {
        PathArguments::AngleBracketed(list) => {
            matches!(list.args.first(), Some(GenericArgument::Type(first)) if types::is_unit(first))
        }
        _ => false,
    };
    Output::Fallible { ty: tokens, unit }
}
