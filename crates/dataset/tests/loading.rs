//! Tests of opening, checking, ordering and loading datasets.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{formula_image, write_zip};
use dataset::{
    Batch, CheckOptions, DatasetOptions, Depth, Error, ImageDataset, Label, Loader, LoaderOptions,
    ProblemKind, SnapshotGrid, Source, check,
};
use rng::RandomState;

fn classes(n: usize) -> Vec<Option<Label>> {
    (0..n)
        .map(|i| Some(Label::Class(i as u32 * 2 % 3)))
        .collect()
}

fn open(path: &Path, options: DatasetOptions) -> ImageDataset {
    ImageDataset::open(path, &options).unwrap()
}

/// A zip of 16 labeled samples of 8 x 8 pixels, and the temporary folder that contains it.
fn sixteen() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.zip");
    write_zip(&path, 8, &classes(16));
    (folder, path)
}

fn labeled() -> DatasetOptions {
    DatasetOptions {
        use_labels: true,
        ..Default::default()
    }
}

#[test]
fn a_subset_is_the_references_and_mirrors_follow_it() {
    let (_folder, path) = sixteen();
    // Origin: `ImageFolderDataset` of NVIDIA's StyleGAN2-ADA with max_size 5, random_seed 3, xflip.
    let options = DatasetOptions {
        max_size: Some(5),
        random_seed: 3,
        xflip: true,
        ..labeled()
    };
    let dataset = open(&path, options);
    let order: Vec<_> = (0..dataset.len()).map(|idx| dataset.raw_idx(idx)).collect();
    assert_eq!(order, [1, 4, 6, 7, 13, 1, 4, 6, 7, 13]);
    assert_eq!(*dataset.label(0), [0.0, 0.0, 1.0]);
    let mut mirrored = formula_image(8, 3, 4);
    assert_eq!(dataset.image(1).unwrap(), mirrored);
    mirrored.flip_horizontal();
    assert_eq!(dataset.image(6).unwrap(), mirrored);
    assert!(dataset.is_flipped(5) && !dataset.is_flipped(4));
}

#[test]
fn grids_are_the_references() {
    let (_folder, path) = sixteen();
    // Origin: the snapshot grid of NVIDIA's StyleGAN2-ADA of 16 samples, with the labels 0 2 1 0 2 1 ... and without.
    let plain = SnapshotGrid::new(&open(&path, DatasetOptions::default()));
    assert_eq!((plain.columns, plain.rows), (32, 32));
    assert_eq!(
        plain.indices[..18],
        [1, 6, 8, 9, 13, 4, 2, 14, 10, 7, 15, 11, 3, 0, 5, 12, 1, 6]
    );
    let labels = SnapshotGrid::new(&open(&path, labeled()));
    assert_eq!(labels.indices[..8], [15, 6, 3, 9, 0, 12, 15, 6]);
    assert_eq!(labels.indices[32..38], [5, 11, 14, 2, 8, 5]);
    // The fourth row shows the first label again and continues its samples.
    assert_eq!(labels.indices[96..100], [3, 9, 0, 12]);
}

#[test]
fn a_folder_and_its_zip_are_the_same_dataset() {
    let (folder, path) = sixteen();
    let unpacked = folder.path().join("unpacked");
    let source = Source::open(&path).unwrap();
    for name in source.names().iter().chain(source.others()) {
        files::write_bytes(unpacked.join(name), &source.read(name).unwrap()).unwrap();
    }
    let (zip, plain) = (open(&path, labeled()), open(&unpacked, labeled()));
    assert_eq!(zip.image(5).unwrap(), plain.image(5).unwrap());
    assert_eq!(zip.content_hash().unwrap(), plain.content_hash().unwrap());
}

#[test]
fn the_content_hash_tells_what_counts() {
    let (folder, path) = sixteen();
    let other = folder.path().join("other.zip");
    let mut labels = classes(16);
    labels[3] = Some(Label::Class(1));
    write_zip(&other, 8, &labels);
    let hash = |path: &Path, options| open(path, options).content_hash().unwrap();
    let plain = hash(&path, DatasetOptions::default());
    assert_eq!(plain.len(), 64);
    assert_eq!(plain, hash(&other, DatasetOptions::default()));
    let mut hashes = vec![plain, hash(&path, labeled()), hash(&other, labeled())];
    for options in [
        DatasetOptions {
            xflip: true,
            ..Default::default()
        },
        DatasetOptions {
            max_size: Some(5),
            ..Default::default()
        },
        DatasetOptions {
            max_size: Some(5),
            random_seed: 1,
            ..Default::default()
        },
    ] {
        hashes.push(hash(&path, options));
    }
    let n = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), n);
}

#[test]
fn random_labels_follow_the_generator() {
    let (_folder, path) = sixteen();
    let dataset = open(&path, labeled());
    let mut random = RandomState::new(0);
    let drawn = dataset.random_labels(3, &mut random);
    let mut again = RandomState::new(0);
    let expected: Vec<f32> = (0..3)
        .flat_map(|_| dataset.label(again.index(16)).to_vec())
        .collect();
    assert_eq!(drawn, expected);
    assert_eq!(random, again);
}

#[test]
fn check_lists_all_offenders() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, side, channels| {
        let encoded = dataset::encode_png(&formula_image(side, channels, 0), 0).unwrap();
        files::write_bytes(folder.path().join(name), encoded.bytes()).unwrap();
    };
    // The image of another size comes first; the other ones must not be reported.
    write("a-small.png", 8, 3);
    (0..5).for_each(|i| write(&format!("good{i}.png"), 16, 3));
    write("gray.png", 16, 1);
    write("odd.png", 12, 3);
    files::write_bytes(folder.path().join("text.webp"), b"text").unwrap();
    let labels = r#"{"labels": [["good0.png", 1], ["good1.png", "x"]]}"#;
    files::write_bytes(folder.path().join("dataset.json"), labels.as_bytes()).unwrap();

    let source = Source::open(folder.path()).unwrap();
    for depth in [Depth::Header, Depth::Decode] {
        let options = CheckOptions {
            depth,
            ..Default::default()
        };
        let n = std::sync::atomic::AtomicUsize::new(0);
        let report = check(&source, &options, || {
            n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(n.into_inner(), 9);
        assert_eq!(report.shape, Some([3, 16, 16]));
        let mut names: Vec<_> = report.problems.iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["a-small.png", "gray.png", "odd.png", "odd.png", "text.webp"]
        );
    }
    let options = CheckOptions {
        use_labels: true,
        ..Default::default()
    };
    let report = check(&source, &options, || ()).unwrap();
    let missing = report
        .problems
        .iter()
        .filter(|p| p.kind == ProblemKind::MissingLabel)
        .count();
    assert_eq!(missing, 7);
    let text = report.to_string();
    assert!(
        text.contains("7 x no label") && text.contains("\n  good4.png"),
        "{text}"
    );
    let error = ImageDataset::open(folder.path(), &labeled()).unwrap_err();
    assert!(error.to_string().contains("good4.png"), "{error}");
    assert!(matches!(
        Error::from_report(report, source.path()),
        Err(Error::Contract { .. })
    ));
}

#[test]
fn empty_and_unlabeled_sets_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::open(folder.path()).unwrap();
    let report = check(&source, &CheckOptions::default(), || ()).unwrap();
    assert_eq!(report.problems[0].kind, ProblemKind::NoImages);
    assert!(matches!(
        ImageDataset::open(folder.path(), &labeled()),
        Err(Error::NoImages(_))
    ));
    let path = folder.path().join("set.zip");
    write_zip(&path, 8, &[None]);
    let options = CheckOptions {
        use_labels: true,
        ..Default::default()
    };
    let report = check(&Source::open(&path).unwrap(), &options, || ()).unwrap();
    assert_eq!(report.problems[0].kind, ProblemKind::NoLabels);
    assert_eq!(open(&path, labeled()).label_dim(), 0);
}

fn loader(dataset: &Arc<ImageDataset>, n_threads: usize, n_prefetch: usize) -> Loader {
    let options = LoaderOptions {
        batch_size: 3,
        seed: 5,
        n_threads,
        n_prefetch,
    };
    Loader::new(dataset.clone(), &options).unwrap()
}

fn take(loader: &mut Loader, n: usize) -> Vec<Batch> {
    (0..n).map(|_| loader.next_batch().unwrap()).collect()
}

#[test]
fn batches_do_not_depend_on_threads() {
    let (_folder, path) = sixteen();
    let dataset = Arc::new(open(&path, labeled()));
    let batches = take(&mut loader(&dataset, 1, 1), 20);
    assert_eq!(batches, take(&mut loader(&dataset, 4, 7), 20));
    let batch = &batches[7];
    for (i, &idx) in batch.indices.iter().enumerate() {
        let sample_len = 3 * 8 * 8;
        assert_eq!(
            batch.images[i * sample_len..][..sample_len],
            dataset.image(idx).unwrap().to_chw()
        );
        assert_eq!(batch.labels[i * 3..][..3], *dataset.label(idx));
    }
}

#[test]
fn a_restored_loader_goes_on_identically() {
    let (_folder, path) = sixteen();
    let dataset = Arc::new(open(&path, labeled()));
    let mut original = loader(&dataset, 2, 3);
    take(&mut original, 11);
    let text = serde_json::to_string(&original.save()).unwrap();
    let saved = serde_json::from_str(&text).unwrap();
    let options = LoaderOptions {
        batch_size: 3,
        n_threads: 3,
        ..Default::default()
    };
    let mut restored = Loader::restore(dataset.clone(), &options, &saved).unwrap();
    assert_eq!(take(&mut restored, 9), take(&mut original, 9));

    let other = Arc::new(open(
        &path,
        DatasetOptions {
            xflip: true,
            ..labeled()
        },
    ));
    let error = Loader::restore(other, &options, &saved)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("16 samples") && error.contains("--mirror"),
        "{error}"
    );
}

#[test]
fn a_damaged_sample_is_named_and_its_batch_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let write = |i: usize, is_whole: bool| {
        let encoded = dataset::encode_png(&formula_image(8, 3, i), 0).unwrap();
        let len = if is_whole { encoded.bytes().len() } else { 90 };
        let path = folder.path().join(format!("{i}.png"));
        files::write_bytes(path, &encoded.bytes()[..len]).unwrap();
    };
    (0..4).for_each(|i| write(i, true));
    let dataset = Arc::new(open(folder.path(), DatasetOptions::default()));
    let expected = take(&mut loader(&dataset, 2, 3), 12);

    write(2, false);
    let mut loader = loader(&dataset, 2, 3);
    let mut batches = Vec::new();
    let error = loop {
        match loader.next_batch() {
            Ok(batch) => batches.push(batch),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("'2.png'"), "{error}");
    assert!(batches.len() < 12);
    // The position stays before the damaged batch, however often it is tried.
    let saved = loader.save();
    assert!(loader.next_batch().is_err());
    assert_eq!(loader.save(), saved);
    write(2, true);
    let left = 12 - batches.len();
    batches.extend(take(&mut loader, left));
    assert_eq!(batches, expected);
}
