//! PTX: `parse` reads a module, `decode` converts its statements to instructions, `run` executes a kernel launch.

mod arith;
mod convert;
pub(crate) mod decode;
pub(crate) mod parse;
pub mod run;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::memory;
use decode::{Function, Symbol};

/// A parsed module; its global variables are allocated in the GPU's memory.
pub struct Module {
    pub(crate) functions: Vec<Function>,
    names: HashMap<String, usize>,
    globals: HashMap<String, (u64, usize)>,
}

impl Module {
    /// Reads a module and allocates its global variables.
    ///
    /// # Errors
    /// When the syntax is not supported; the text names it. Unknown instructions fail only when their kernel is
    /// launched.
    pub fn load(text: &str) -> Result<Module, String> {
        let source = parse::source(text)?;
        let mut symbols = HashMap::new();
        let mut globals = HashMap::new();
        let mut shared = 0;
        for variable in &source.variables {
            let symbol = match variable.space.as_str() {
                "global" | "const" => {
                    let size = variable.bytes.len().max(1);
                    let address = memory::allocate(size).ok_or("no memory for a variable")?;
                    let place = memory::write(address, variable.bytes.len()).expect("allocated");
                    place.copy_from_slice(&variable.bytes);
                    globals.insert(variable.name.clone(), (address, variable.bytes.len()));
                    Symbol::Address(address)
                }
                "shared" if variable.external => Symbol::DynamicShared,
                "shared" => {
                    shared = usize::next_multiple_of(shared, variable.align);
                    shared += variable.bytes.len();
                    Symbol::Address((shared - variable.bytes.len()) as u64)
                }
                other => return Err(format!("a variable in the space {other}")),
            };
            symbols.insert(variable.name.clone(), symbol);
        }
        let names: HashMap<String, usize> = source
            .functions
            .iter()
            .enumerate()
            .map(|(i, f)| (f.name.clone(), i))
            .collect();
        let functions = source
            .functions
            .iter()
            .map(|function| decode::function(function, &symbols, &names, shared))
            .collect::<Result<_, _>>()?;
        Ok(Module {
            functions,
            names,
            globals,
        })
    }

    /// The index of a kernel in `functions`; `None` if no kernel has this name.
    pub fn kernel(&self, name: &str) -> Option<usize> {
        let index = *self.names.get(name)?;
        self.functions[index].is_kernel.then_some(index)
    }

    /// The address and size in bytes of a global variable; `None` if no variable has this name.
    pub(crate) fn global(&self, name: &str) -> Option<(u64, usize)> {
        self.globals.get(name).copied()
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        for (address, _) in self.globals.values() {
            memory::release(*address);
        }
    }
}
