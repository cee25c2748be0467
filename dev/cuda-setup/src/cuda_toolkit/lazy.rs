//! Archives of functions that load a shared library at their first call.
//!
//! candle links NVIDIA's libraries, so a program would not even start where one of them is missing. The linker accepts
//! an archive in place of a shared library. Each function in our archives is a jump through a slot in memory; the slot
//! first points at code that loads the library. Where there is no library, the function returns that library's error
//! code for "not initialized".

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{link, output};

/// A shared library that is loaded at the first call of one of its functions.
struct Library {
    /// The name under which the linker looks for it, as in `-lcublas`.
    name: &'static str,
    /// The file that is loaded.
    file: &'static str,
    /// The result of every function when the library cannot be loaded.
    failure: u32,
}

const LIBRARIES: [Library; 6] = [
    Library {
        name: "cuda",
        file: "libcuda.so.1",
        // CUDA_ERROR_STUB_LIBRARY
        failure: 34,
    },
    Library {
        name: "cublas",
        file: "libcublas.so.13",
        // CUBLAS_STATUS_NOT_INITIALIZED
        failure: 1,
    },
    Library {
        name: "cublasLt",
        file: "libcublasLt.so.13",
        failure: 1,
    },
    Library {
        name: "curand",
        file: "libcurand.so.10",
        // CURAND_STATUS_NOT_INITIALIZED
        failure: 101,
    },
    Library {
        name: "nvrtc",
        file: "libnvrtc.so.13",
        // NVRTC_ERROR_INTERNAL_ERROR
        failure: 11,
    },
    Library {
        name: "cudnn",
        file: "libcudnn.so.9",
        // CUDNN_STATUS_NOT_INITIALIZED
        failure: 1001,
    },
];

/// The names of the library files that programs load at their first call.
pub fn libraries() -> impl Iterator<Item = &'static str> {
    LIBRARIES.iter().map(|library| library.file)
}

/// Writes an archive `lib<name>.a` for each library into `home/lib`, the folder of the linker's libraries.
///
/// # Errors
/// When one of the libraries or the driver's header is missing, or `cc`, `ar` or `nm` fail.
pub fn write(home: &Path, cudnn: &Path) -> Result<()> {
    let lib = home.join("lib");
    for library in &LIBRARIES {
        let functions = match library.name {
            // The driver's library comes with the GPU, not with the wheels; its functions are listed in its header.
            "cuda" => of_header(&fs::read_to_string(home.join("include/cuda.h"))?),
            "cudnn" => of_library(&cudnn.join(library.file))?,
            _ => of_library(&lib.join(library.file))?,
        };
        ensure!(
            functions.len() > 10,
            "{} exports only {functions:?}",
            library.file
        );
        archive(&lib, library, &functions)?;
    }
    // The static runtime library loads the driver at run time by itself.
    link(Path::new("libcudart_static.a"), &lib.join("libcudart.a"))
}

/// All words in a header that may be functions of the driver: `cu` followed by a capital letter.
fn of_header(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            word.starts_with("cu") && word[2..].starts_with(|c: char| c.is_ascii_uppercase())
        })
        .map(str::to_owned)
        .collect()
}

/// The names of the functions that a library exports.
fn of_library(path: &Path) -> Result<BTreeSet<String>> {
    let names = output(
        Command::new("nm")
            .args(["--dynamic", "--defined-only"])
            .arg(path),
    )?;
    Ok(of_symbols(&names))
}

/// The functions in the output of `nm`, whose lines are `address type name@@version`.
fn of_symbols(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().rev();
            let name = words.next()?.split('@').next()?;
            let code = matches!(words.next()?, "T" | "t" | "W" | "i");
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            (code && plain && !matches!(name, "_init" | "_fini")).then(|| name.to_owned())
        })
        .collect()
}

/// Compiles the archive of one library into `lib`.
fn archive(lib: &Path, library: &Library, functions: &BTreeSet<String>) -> Result<()> {
    let work = lib.join("lazy");
    fs::create_dir_all(&work)?;
    let file = |ending: &str| -> PathBuf { work.join(format!("{}.{ending}", library.name)) };
    fs::write(file("c"), loader(library))?;
    fs::write(file("s"), jumps(library.name, functions))?;
    let mut objects = Vec::new();
    for (source, object) in [("c", "load.o"), ("s", "jump.o")] {
        output(
            Command::new("cc")
                .args(["-c", "-O2", "-fPIC"])
                .arg(file(source))
                .arg("-o")
                .arg(file(object)),
        )
        .context("a C compiler named cc is needed, as for Rust itself")?;
        objects.push(file(object));
    }
    let archive = lib.join(format!("lib{}.a", library.name));
    if archive.exists() {
        fs::remove_file(&archive)?;
    }
    output(Command::new("ar").arg("crs").arg(&archive).args(objects))?;
    Ok(())
}

/// The C source of the function that loads the library and looks up a function by name.
fn loader(library: &Library) -> String {
    let Library {
        name,
        file,
        failure,
    } = library;
    format!(
        r#"#include <dlfcn.h>
static long missing(void) {{ return {failure}; }}
__attribute__((visibility("hidden"))) void *lazy_{name}_find(const char *name) {{
    static void *library;
    void *opened = __atomic_load_n(&library, __ATOMIC_ACQUIRE);
    if (!opened) {{
        opened = dlopen("{file}", RTLD_NOW | RTLD_GLOBAL);
        __atomic_store_n(&library, opened, __ATOMIC_RELEASE);
    }}
    void *function = opened ? dlsym(opened, name) : 0;
    return function ? function : (void *)missing;
}}
"#
    )
}

/// The assembly source (x86-64, System V): one jump for each function, and the code that they share to call the
/// function of [`loader`].
fn jumps(library: &str, functions: &BTreeSet<String>) -> String {
    let mut text = format!(
        r#"    .section .text.lazy_{library}_enter,"ax",@progbits
    .hidden lazy_{library}_enter
lazy_{library}_enter:
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %r8
    pushq %r9
    pushq %rax
    pushq %r10
    subq $136, %rsp
"#
    );
    let mut each_register = |before: &str, after: &str| {
        for i in 0..8 {
            let _ = writeln!(
                text,
                "    movups {}",
                match before {
                    "save" => format!("%xmm{i}, {}(%rsp)", 16 * i),
                    _ => format!("{}(%rsp), %xmm{i}", 16 * i),
                }
            );
        }
        text.push_str(after);
    };
    each_register(
        "save",
        &format!("    movq %r11, %rdi\n    call lazy_{library}_find\n    movq %rax, %r11\n"),
    );
    each_register(
        "restore",
        r#"    addq $136, %rsp
    popq %r10
    popq %rax
    popq %r9
    popq %r8
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    movq %r11, (%r10)
    jmp *%r11
"#,
    );
    for f in functions {
        // Each function has its own sections, so that the linker drops unused ones.
        let _ = write!(
            text,
            r#"    .section .rodata.lazy.{f},"a",@progbits
.Lname_{f}: .asciz "{f}"
    .section .data.rel.lazy.{f},"aw",@progbits
    .balign 8
.Lslot_{f}: .quad .Lfirst_{f}
    .section .text.lazy.{f},"ax",@progbits
    .globl {f}
    .type {f}, @function
{f}:
    jmp *.Lslot_{f}(%rip)
.Lfirst_{f}:
    leaq .Lname_{f}(%rip), %r11
    leaq .Lslot_{f}(%rip), %r10
    jmp lazy_{library}_enter
    .size {f}, .-{f}
"#
        );
    }
    text.push_str("    .section .note.GNU-stack,\"\",@progbits\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_headers_and_of_symbol_tables_are_found() {
        let header =
            "#define cuMemAlloc cuMemAlloc_v2\nCUresult CUDAAPI cuInit(unsigned int cuda);";
        let found: Vec<_> = of_header(header).into_iter().collect();
        assert_eq!(found, ["cuInit", "cuMemAlloc", "cuMemAlloc_v2"]);
        let symbols = "0000 T cublasCreate_v2@@libcublas.so.13\n0000 A libcublas.so.13\n0000 D table\n0001 T _init\n";
        let found: Vec<_> = of_symbols(symbols).into_iter().collect();
        assert_eq!(found, ["cublasCreate_v2"]);
    }

    /// Builds archives for libm and for a library that does not exist, and calls functions of both.
    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn a_function_is_loaded_at_its_first_call_and_fails_where_there_is_no_library() {
        let dir = tempfile::tempdir().unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let library = |name, file| Library {
            name,
            file,
            failure: 34,
        };
        archive(
            dir.path(),
            &library("here", "libm.so.6"),
            &set(&["fma", "ldexp"]),
        )
        .unwrap();
        archive(
            dir.path(),
            &library("gone", "libnone.so.7"),
            &set(&["goneCall"]),
        )
        .unwrap();
        let main = dir.path().join("main.c");
        fs::write(
            &main,
            "double fma(double, double, double); double ldexp(double, int); int goneCall(int, void *);
             int main(void) { volatile double two = 2; volatile int three = 3;
               double a = fma(two, 3.5, 1.0), b = fma(two, 4.5, 1.0), c = ldexp(two, three);
               return !(a == 8.0 && b == 10.0 && c == 16.0 && goneCall(1, 0) == 34 && goneCall(1, 0) == 34); }",
        )
        .unwrap();
        let program = dir.path().join("main");
        output(
            Command::new("cc")
                .args(["-O1", "-fno-builtin", "-o"])
                .arg(&program)
                .arg(&main)
                .arg("-L")
                .arg(dir.path())
                .args(["-lhere", "-lgone", "-ldl"]),
        )
        .unwrap();
        output(&mut Command::new(&program)).unwrap();
    }
}
