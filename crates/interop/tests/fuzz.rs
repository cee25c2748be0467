//! Feeds damaged and hostile files to the readers: each file must be read or give an error, never a panic, and the
//! memory used must stay proportional to the size of the file.
//!
//! `KAOGAN_FUZZ_INPUTS=1000000 cargo test -p interop --test fuzz` runs a long test; `KAOGAN_FUZZ_SEED` selects other
//! inputs.

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use interop::pickle::{Limits, Pickle};
use interop::{Format, checkpoint_bytes, read_checkpoint_bytes, read_tensors_bytes};
use test_support::fuzz::{Counting, Rng, damage, peak_of};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pickle instructions of all protocols, for random streams.
const OPS: &[u8] = b"NIJKMLFGSVTBUCX(])}tlaesud012pqrghjcRoibPQ.\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97";

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let official = read("official.pkl");
    let checkpoint = read_checkpoint_bytes(&official, "official.pkl").unwrap();
    let mut seeds: Vec<Vec<u8>> = [Format::SafeTensors, Format::OfficialPkl, Format::Rosinality]
        .map(|format| checkpoint_bytes(format, &checkpoint).unwrap())
        .into();
    // Remove the checksum: otherwise every damaged file would be refused before it is parsed.
    let key = b"kaogan.crc32";
    let at = seeds[0].windows(key.len()).position(|w| w == key).unwrap();
    seeds[0][at..at + key.len()].copy_from_slice(b"nothing.here");
    seeds.push(official);
    for name in [
        "tensorflow.pkl",
        "state_dict_zip.pt",
        "state_dict_legacy.pt",
        "torchscript.pt",
    ] {
        seeds.push(read(name));
    }
    seeds
}

fn mutate(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    if rng.below(8) == 0 {
        // A stream of random instructions.
        let mut out = vec![0x80, rng.below(6) as u8];
        for _ in 0..rng.below(200) {
            out.push(OPS[rng.below(OPS.len())]);
            if rng.below(3) == 0 {
                out.push(rng.next_bits() as u8 & 0x0f);
            }
        }
        return out;
    }
    let mut seed = rng.below(seeds.len());
    if seed >= 3 && rng.below(2) == 0 {
        // Choose small files more often: they are faster.
        seed = 4 + rng.below(seeds.len() - 4);
    }
    let seed = &seeds[seed];
    if seed.starts_with(b"PK") && rng.below(4) != 0 {
        return rezip(rng, seed);
    }
    let mut out = seed.clone();
    damage(rng, &mut out, seeds, &tokens());
    out
}

/// Pickle instructions as tokens that `damage` inserts.
fn tokens() -> Vec<&'static [u8]> {
    OPS.chunks(1).collect()
}

/// Damages one member of a zip and writes a zip with correct checksums.
fn rezip(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(Cursor::new(seed)).unwrap();
    let victim = zip
        .file_names()
        .position(|name| name.is_ok_and(|n| n.ends_with("data.pkl")))
        .unwrap();
    let victim = if rng.below(5) == 0 {
        rng.below(zip.len())
    } else {
        victim
    };
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        if index == victim {
            damage(rng, &mut bytes, &[seed.to_vec()], &tokens());
        }
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        out.start_file(file.name().unwrap().into_owned(), options)
            .unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// Small files that would need much time or memory, because they refer to one value many times.
fn crafted() -> Vec<(&'static str, Vec<u8>)> {
    const MANY: usize = 100_000;
    let repeat = |piece: &[u8], n: usize| piece.repeat(n);
    // Nested dictionaries: every entry of a dictionary refers to the dictionary of the level before.
    let mut unfolding = b"\x80\x02X\x01\x00\x00\x00Gq\x00}q\x01".to_vec();
    for level in 1..40u8 {
        unfolding.extend([b'}', b'q', level + 1, b'(']);
        unfolding.extend(repeat(&[b'h', 0, b'h', level], MANY / 40));
        unfolding.push(b'u');
    }
    unfolding.push(b'.');
    // One long tuple as the id of many storages, in a legacy torch file.
    let mut ids =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    ids.extend(b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.\x80\x02]((");
    ids.extend(repeat(b"N", MANY));
    ids.extend(b"tq\x00Q");
    ids.extend(repeat(b"h\x00Q", MANY));
    ids.extend(b"e.\x80\x02].");
    // One long tuple as the arguments and the shape of many tensors.
    let mut shapes = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x020}(NK\x00(".to_vec();
    shapes.extend(repeat(b"K\x01", MANY));
    shapes.extend(b"tq\x00h\x00tq\x030");
    for index in 0..1000u32 {
        shapes.extend(b"J");
        shapes.extend(index.to_le_bytes());
        shapes.extend(b"h\x02h\x03Rs");
    }
    shapes.push(b'.');
    // A module with many children that share one long name.
    let name = "m".repeat(900);
    let mut children = b"\x80\x02}(X\x01\x00\x00\x00GX".to_vec();
    children.extend((name.len() as u32).to_le_bytes());
    children.extend(name.as_bytes());
    children.extend(b"q\x000ctorch_utils.persistence\n_reconstruct_persistent_obj\n}(X\x07\x00\x00\x00versionK\x06");
    children
        .extend(b"X\x0a\x00\x00\x00class_nameX\x09\x00\x00\x00GeneratorX\x05\x00\x00\x00state}(");
    children.extend(
        b"X\x0b\x00\x00\x00_parameters}X\x08\x00\x00\x00_buffers}X\x08\x00\x00\x00_modules}(",
    );
    children.extend(repeat(b"h\x00]", MANY));
    children.extend(b"uuu\x85Ru.");
    // Deeply nested constructor calls as a key.
    let mut encodings = b"\x80\x02}c_codecs\nencode\nq\x000".to_vec();
    encodings.extend(repeat(b"h\x00", MANY));
    encodings.extend(b"X\x01\x00\x00\x00a");
    encodings.extend(repeat(b"\x85R", MANY));
    encodings.extend(b"Ns.");
    // One long list of pairs as each of the 64 arguments of a call of `dict`.
    let mut pairs = b"\x80\x02cbuiltins\ndict\nq\x00]q\x01(".to_vec();
    pairs.extend(repeat(b"NN\x86", 10 * MANY));
    pairs.extend(b"e0h\x00(");
    let of_dict = [pairs.clone(), repeat(b"h\x01", 64), b"tR.".to_vec()].concat();
    // One long text as the key of all entries.
    let mut keys = b"\x80\x02}(X\x00\x00\x10\x00".to_vec();
    keys.extend(repeat(b"k", 1 << 20));
    keys.extend(b"q\x00N");
    keys.extend(repeat(b"h\x00]", MANY));
    keys.extend(b"u.");
    vec![
        ("nested encodings", encodings),
        ("shared pairs", of_dict),
        ("long keys", keys),
        ("overlapping members", overlapping(60_000, 1 << 20)),
        ("unfolding dictionaries", unfolding),
        ("long ids", ids),
        ("long shapes", shapes),
        ("many modules", children),
        (
            "deep lists",
            [repeat(b"]", MANY), repeat(b"a", MANY - 1), b".".to_vec()].concat(),
        ),
        ("marks", [b"\x80\x02".to_vec(), repeat(b"(", MANY)].concat()),
        (
            "nones",
            [b"\x80\x02".to_vec(), repeat(b"N", MANY), b".".to_vec()].concat(),
        ),
        (
            "memo",
            [
                b"\x80\x02Nq\x00".to_vec(),
                repeat(b"h\x00r\xff\xff\xff\xff", MANY),
                b".".to_vec(),
            ]
            .concat(),
        ),
    ]
}

/// A torch zip file in which `n` records of the directory refer to the same member of `size` bytes.
fn overlapping(n: usize, size: usize) -> Vec<u8> {
    let local = |name: &str, data: &[u8]| {
        let mut out = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0".to_vec();
        let (crc, size) = (crc32fast::hash(data), data.len() as u32);
        [crc, size, size]
            .iter()
            .for_each(|v| out.extend(v.to_le_bytes()));
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(data);
        out
    };
    let record = |name: &str, data: &[u8], at: u32| {
        let mut out = b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0".to_vec();
        let (crc, size) = (crc32fast::hash(data), data.len() as u32);
        [crc, size, size]
            .iter()
            .for_each(|v| out.extend(v.to_le_bytes()));
        out.extend((name.len() as u32).to_le_bytes());
        out.extend([0; 10]);
        out.extend(at.to_le_bytes());
        out.extend(name.as_bytes());
        out
    };
    let (pickle, data) = (b"\x80\x02}.", vec![0; size]);
    let mut out = local("archive/data.pkl", pickle);
    let at = out.len() as u32;
    out.extend(local("archive/data/0", &data));
    let start = out.len() as u32;
    out.extend(record("archive/data.pkl", pickle, 0));
    let one = record("archive/data/00000", &data, at);
    for index in 0..n {
        out.extend(&one[..one.len() - 5]);
        out.extend(format!("{index:05}").bytes());
    }
    let length = out.len() as u32 - start;
    out.extend(b"PK\x05\x06\0\0\0\0");
    let count = (n as u16 + 1).to_le_bytes();
    out.extend([count, count].concat());
    out.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

/// Feeds one input to every reader and checks the memory and time used. Returns whether it was read, and whether it is
/// a plain pickle. `worst` is raised to the peak memory in multiples of the size of the input.
fn check(what: &str, input: &[u8], worst: &mut f64) -> (bool, bool) {
    let start = Instant::now();
    let read = || {
        let checkpoint = read_checkpoint_bytes(input, "fuzz").is_ok();
        let tensors = read_tensors_bytes(input).is_ok();
        let pickle = Pickle::parse(input, Limits::default());
        (
            checkpoint || tensors,
            pickle.is_ok_and(|p| p.root().to_json().is_ok()),
        )
    };
    let (result, grown) = peak_of(|| std::panic::catch_unwind(read));
    let Ok(outcome) = result else {
        panic!("{what} crashed the reader")
    };
    // An instruction of one byte can create a value of 40 bytes and an entry on the stack; zips and JSON need a fixed
    // amount in addition.
    *worst = worst.max(grown as f64 / input.len().max(1) as f64);
    assert!(
        grown <= 400 * input.len() + (1 << 20),
        "{what} of {} bytes took {grown}",
        input.len()
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{what} took {:?}",
        start.elapsed()
    );
    outcome
}

#[test]
fn damaged_and_hostile_inputs_neither_crash_nor_grow() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let inputs = number("KAOGAN_FUZZ_INPUTS", 4000);
    let mut worst = 0f64;
    for (name, input) in crafted() {
        check(name, &input, &mut worst);
    }
    let mut rng = Rng(number("KAOGAN_FUZZ_SEED", 0));
    let seeds = seeds();
    let (mut read, mut plain, mut slowest) = (0, 0, Duration::ZERO);
    for index in 0..inputs {
        let what = format!(
            "input {index} (alone: KAOGAN_FUZZ_INPUTS=1 KAOGAN_FUZZ_SEED={})",
            rng.0
        );
        let input = mutate(&mut rng, &seeds);
        let start = Instant::now();
        let (ok, pickle) = check(&what, &input, &mut worst);
        slowest = slowest.max(start.elapsed());
        read += u64::from(ok);
        plain += u64::from(pickle);
    }
    println!(
        "{inputs} inputs: {read} read all the same, {plain} plain pickles, slowest {slowest:?}, \
         peak memory at most {worst:.0} times the input"
    );
    // The test is only meaningful if some damaged files are readable and many are not.
    assert!(inputs < 1000 || (read > inputs / 100 && read < inputs * 9 / 10));
}
