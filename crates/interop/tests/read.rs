//! Reads files written by other programs and compares all values.

use std::path::{Path, PathBuf};

use architecture::{Architecture, NetworkConfig};
use interop::{
    Checkpoint, Container, DType, Error, Format, read_checkpoint, read_checkpoint_bytes,
    read_tensors, read_tensors_bytes,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// Asserts that the tensors of a checkpoint are those of `weights.safetensors`.
fn assert_weights(checkpoint: &Checkpoint, tolerance_of_affine_bias: f32) {
    let mut expected = read_tensors(&data("weights.safetensors")).unwrap().tensors;
    for (key, network) in checkpoint.networks() {
        for (name, tensor) in network.tensors() {
            let name = format!("{key}.{name}");
            let wanted = expected
                .swap_remove(&name)
                .unwrap_or_else(|| panic!("{name} is not expected"));
            if name.ends_with("affine.bias") && tolerance_of_affine_bias > 0.0 {
                assert_eq!(tensor.shape, wanted.shape, "{name}");
                for (a, b) in tensor.to_f32().iter().zip(wanted.to_f32()) {
                    assert!(
                        (a - b).abs() <= tolerance_of_affine_bias,
                        "{name}: {a} and {b}"
                    );
                }
            } else {
                assert_eq!(*tensor, wanted, "{name}");
            }
        }
    }
    assert!(expected.is_empty(), "not read: {:?}", expected.keys());
}

#[test]
fn official_snapshot_with_frozen_layers() {
    let checkpoint = read_checkpoint(&data("official.pkl")).unwrap();
    assert_weights(&checkpoint, 0.0);
    assert_eq!(checkpoint.provenance.format, Format::OfficialPkl);
    assert_eq!(
        checkpoint.training_set_kwargs.as_ref().unwrap()["path"],
        "faces.zip"
    );
    assert_eq!(
        checkpoint.training_set_kwargs.as_ref().unwrap()["xflip"],
        true
    );
    let NetworkConfig::Generator(g) = &checkpoint.g_ema.as_ref().unwrap().config else {
        panic!()
    };
    assert_eq!(
        (
            g.img_resolution,
            g.z_dim,
            g.w_dim,
            g.c_dim,
            g.mapping.num_layers
        ),
        (8, 4, 4, 0, 2)
    );
    assert_eq!((g.channels(4), g.channels(8), g.num_ws()), (3, 2, 4));
    assert_eq!(
        (g.num_fp16_res, g.conv_clamp, g.architecture),
        (1, Some(256.0), Architecture::Skip)
    );
    let d = checkpoint.d.as_ref().unwrap();
    let NetworkConfig::Discriminator(config) = &d.config else {
        panic!()
    };
    assert_eq!(
        (
            config.freeze_layers,
            config.mbstd_group_size,
            config.mbstd_num_channels
        ),
        (3, Some(4), 1)
    );
    // The weights of frozen layers are read as parameters.
    assert!(d.params.contains_key("b8.conv0.weight"));
    assert!(
        d.buffers
            .keys()
            .all(|name| name.ends_with("resample_filter"))
    );
}

#[test]
fn tensorflow_snapshot() {
    let checkpoint = read_checkpoint(&data("tensorflow.pkl")).unwrap();
    assert_eq!(checkpoint.provenance.format, Format::TensorflowPkl);
    // The file stores the bias minus 1, which is rounded.
    assert_weights(&checkpoint, 3e-7);
    let NetworkConfig::Discriminator(d) = &checkpoint.d.as_ref().unwrap().config else {
        panic!()
    };
    assert_eq!(
        (d.mbstd_group_size, d.channel_base, d.channel_max),
        (Some(2), 16, 3)
    );
}

#[test]
fn every_format_that_is_written_reads_back_the_same() {
    let original = read_checkpoint(&data("official.pkl")).unwrap();
    for format in [Format::SafeTensors, Format::OfficialPkl, Format::Rosinality] {
        let bytes = interop::checkpoint_bytes(format, &original).unwrap();
        assert_eq!(
            bytes,
            interop::checkpoint_bytes(format, &original).unwrap(),
            "{format:?} is not deterministic"
        );
        let again = read_checkpoint_bytes(&bytes, "x").unwrap();
        assert_eq!(again.provenance.format, format);
        assert_weights(&again, 0.0);
        for ((key, a), (_, b)) in original.networks().zip(again.networks()) {
            assert_eq!(
                interop::weights_checksum(a),
                interop::weights_checksum(b),
                "{format:?} {key}"
            );
            match format {
                Format::SafeTensors => assert_eq!(a, b, "{key}"),
                // The file does not record which layers are frozen.
                Format::OfficialPkl => assert_eq!(without_freeze(&a.config), b.config, "{key}"),
                _ => assert!(!b.assumed.is_empty(), "{key}: the clamp is not in the file"),
            }
        }
        if format != Format::Rosinality {
            assert_eq!(again.training_set_kwargs, original.training_set_kwargs);
        }
        if format == Format::SafeTensors {
            assert_eq!(
                again.provenance.parent.as_deref(),
                Some(&original.provenance)
            );
        }
    }
}

fn without_freeze(config: &NetworkConfig) -> NetworkConfig {
    let mut config = config.clone();
    if let NetworkConfig::Discriminator(d) = &mut config {
        d.freeze_layers = 0;
    }
    config
}

#[test]
fn converted_files_are_described_and_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let safetensors = folder.path().join("a.safetensors");
    let pkl = folder.path().join("b.pkl");
    let conversion = interop::convert(&data("official.pkl"), &safetensors).unwrap();
    assert_eq!(
        (conversion.from, conversion.to),
        (Format::OfficialPkl, Format::SafeTensors)
    );
    interop::convert(&safetensors, &pkl).unwrap();
    let original = interop::describe(&data("official.pkl")).unwrap();
    let half = folder.path().join("half.safetensors");
    interop::convert_to_f16(&safetensors, &half).unwrap();
    // The bytes behind the header, whose length is in the first eight bytes.
    let size = |path: &Path| {
        let file = std::fs::read(path).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap());
        file.len() - 8 - header as usize
    };
    assert_eq!(2 * size(&half), size(&safetensors));
    let first = |path: &Path| {
        let network = read_checkpoint(path).unwrap().g_ema.unwrap();
        network.params.values().next().unwrap().to_f32()
    };
    let pairs = first(&half).into_iter().zip(first(&safetensors));
    assert!(
        pairs
            .into_iter()
            .all(|(a, b)| (a - b).abs() <= b.abs() / 1024.0 + 1e-7)
    );
    assert!(interop::convert_to_f16(&safetensors, &folder.path().join("half.pkl")).is_err());
    let [a, b] = [safetensors, pkl].map(|path| interop::describe(&path).unwrap());
    assert_eq!(original.networks.len(), 3);
    for (x, y) in original
        .networks
        .iter()
        .zip(a.networks.iter().zip(&b.networks))
    {
        assert_eq!((&x.checksum, &x.checksum), (&y.0.checksum, &y.1.checksum));
        assert!(!x.has_non_finite && x.num_params > 0);
    }
    assert_eq!(a.converted_from.unwrap().source, "official.pkl");
    let error = interop::convert(&data("official.pkl"), &folder.path().join("c.onnx")).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)));
    // A state dict that is not a checkpoint is described too.
    let state = interop::describe(&data("state_dict_zip.pt")).unwrap();
    assert_eq!(
        (state.format, state.container),
        (None, Some(Container::TorchZip))
    );
    assert_eq!(state.tensors.len(), 14);
}

#[test]
fn state_dicts_of_both_layouts() {
    for (name, container) in [
        ("state_dict_zip.pt", Container::TorchZip),
        ("state_dict_legacy.pt", Container::TorchLegacy),
    ] {
        let file = read_tensors(&data(name)).unwrap();
        assert_eq!(file.container, container);
        let count: Vec<f32> = (0..24).map(|v| v as f32).collect();
        for (key, dtype) in [
            ("f16", DType::F16),
            ("bf16", DType::BF16),
            ("f64", DType::F64),
        ] {
            assert_eq!(
                (file.tensors[key].dtype, &file.tensors[key].shape[..]),
                (dtype, &[2, 3, 4][..])
            );
            assert_eq!(file.tensors[key].to_f32(), count, "{key}");
        }
        let values = |key: &str| (file.tensors[key].shape.clone(), file.tensors[key].to_f32());
        assert_eq!(values("i64"), (vec![2], vec![1.0, -2.0]));
        assert_eq!(values("i32"), (vec![], vec![5.0]));
        assert_eq!(values("u8"), (vec![2], vec![1.0, 2.0]));
        assert_eq!(values("flag"), (vec![2], vec![1.0, 0.0]));
        let turned: Vec<f32> = (0..4)
            .flat_map(|k| {
                (0..2).flat_map(move |i| (0..3).map(move |j| (i * 12 + j * 4 + k) as f32))
            })
            .collect();
        assert_eq!(values("turned"), (vec![4, 2, 3], turned));
        assert_eq!(values("view"), (vec![3, 4], count[12..].to_vec()));
        assert_eq!(values("row"), (vec![4], count[4..8].to_vec()));
        assert_eq!(values("empty"), (vec![0, 3], vec![]));
        assert_eq!(
            values("parameter"),
            (vec![2, 4], [&count[..4], &count[12..16]].concat())
        );
        assert_eq!(values("nested.a.1.c"), (vec![1], vec![0.0]));
        assert_eq!(file.tensors.len(), 14);
    }
}

#[test]
fn torchscript_parameters() {
    let file = read_tensors(&data("torchscript.pt")).unwrap();
    assert_eq!(file.container, Container::TorchScript);
    let names: Vec<&str> = file.tensors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["conv.weight", "conv.bias", "seq.0.weight", "seq.0.bias"]
    );
    let values: Vec<f32> = file.tensors.values().flat_map(|t| t.to_f32()).collect();
    assert_eq!(values, [1., 2., 3., 4., 5., 6., 7.]);
    let error = read_checkpoint(&data("torchscript.pt"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("torchscript.pt") && error.contains("TorchScript"),
        "{error}"
    );
}

#[test]
fn contradictions_are_errors() {
    let mut checkpoint = read_checkpoint(&data("official.pkl")).unwrap();
    // A file whose settings say 8 mapping layers, with tensors for 2.
    let text = |from: &[u8], a: &[u8], b: &[u8]| {
        let at = from.windows(a.len()).position(|w| w == a).expect("pattern");
        [&from[..at], b, &from[at + a.len()..]].concat()
    };
    let pkl = interop::checkpoint_bytes(Format::OfficialPkl, &checkpoint).unwrap();
    // In the arguments of the constructor: 'mapping_kwargs': {'num_layers': 2.
    let stated = b"X\x0e\x00\x00\x00mapping_kwargs}(X\x0a\x00\x00\x00num_layersK\x02";
    let changed = [&stated[..stated.len() - 1], b"\x08"].concat();
    let error = read_checkpoint_bytes(&text(&pkl, stated, &changed), "x").unwrap_err();
    assert!(matches!(&error, Error::Contradiction { .. }), "{error}");
    assert!(
        error.to_string().contains("mapping_kwargs.num_layers"),
        "{error}"
    );

    // One missing tensor, then one additional tensor.
    let d = checkpoint.d.as_mut().unwrap();
    let bias = d.params.swap_remove("b4.out.bias").unwrap();
    let bytes = interop::checkpoint_bytes(Format::SafeTensors, &checkpoint).unwrap();
    let error = read_checkpoint_bytes(&bytes, "x").unwrap_err().to_string();
    assert!(error.contains("discriminator lacks b4.out.bias"), "{error}");
    let d = checkpoint.d.as_mut().unwrap();
    d.params.insert("b4.out.bias".into(), bias.clone());
    d.params.insert("b4.extra".into(), bias);
    let bytes = interop::checkpoint_bytes(Format::SafeTensors, &checkpoint).unwrap();
    let error = read_checkpoint_bytes(&bytes, "x").unwrap_err().to_string();
    assert!(error.contains("b4.extra"), "{error}");
}

#[test]
fn other_files_are_named_for_what_they_are() {
    for (bytes, expected) in [
        (&b""[..], "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x89PNG\r\n\x1a\n", "an image, not a checkpoint"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': }", "an array"),
        (b"\x08\x07\x12\x07pytorch:\x00", "an ONNX model"),
        (
            b"\x01\x02\x03\x04\x05\x06\x07\x08 and some more",
            "neither a pickle",
        ),
        (b"\x80\x04}\x94.", "none of G, D and G_ema"),
        (b"PK\x03\x04garbage", "zip"),
        (&[0; 300], "zero bytes"),
        (b"\x80", "only 1 bytes: it is cut short"),
        (b"404: Not Found", "\"404: Not Found\""),
        (b"{\"error\":\"gated\"}", "error message of a server"),
        (
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
            "error message of a server",
        ),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0", "HDF5"),
    ] {
        let error = read_checkpoint_bytes(bytes, "x").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = read_checkpoint(Path::new("no/such/file.pkl")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
}

#[test]
fn every_flipped_bit_of_a_file_of_ours_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("converted.safetensors");
    interop::convert(&data("official.pkl"), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(files::check_safetensors(&whole), Ok(true));
    let mut random = rng::RandomState::new(24);
    for i in 0..80 {
        // Every other flip is in the first 60 bytes, where the format and the checksum are.
        let end = if i % 2 == 0 { whole.len() } else { 60 };
        let bit = random.randint(0, 8 * end as i64) as usize;
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        let errors = [
            read_checkpoint(&path).unwrap_err(),
            read_tensors(&path).unwrap_err(),
            interop::describe(&path).unwrap_err(),
            interop::convert(&path, &folder.path().join("again.pkl")).unwrap_err(),
        ];
        for error in errors.map(|error| error.to_string()) {
            assert!(
                error.contains("converted.safetensors")
                    && (error.contains("its checksum does not fit") || error.contains("cut short")),
                "bit {bit}: {error}"
            );
        }
    }
    // A file of another program or of an earlier version has no checksum and is read anyway.
    let stored = std::fs::read(data("weights.safetensors")).unwrap();
    assert_eq!(files::check_safetensors(&stored), Ok(false));
}

/// Cuts files of every format at several places, with nothing or with zeros after the cut.
#[test]
fn cut_files_are_called_cut_short() {
    let original = read_checkpoint(&data("official.pkl")).unwrap();
    let written = |format| interop::checkpoint_bytes(format, &original).unwrap();
    let stored = |name: &str| std::fs::read(data(name)).unwrap();
    let mut wrong = Vec::new();
    for (name, whole) in [
        (".safetensors", written(Format::SafeTensors)),
        (".pt", written(Format::Rosinality)),
        (".pkl", written(Format::OfficialPkl)),
        ("TensorFlow's .pkl", stored("tensorflow.pkl")),
        ("legacy .pt", stored("state_dict_legacy.pt")),
        ("TorchScript .pt", stored("torchscript.pt")),
    ] {
        for percent in [1, 5, 40, 70, 99] {
            let n = (whole.len() * percent / 100).max(20);
            let error = read_checkpoint_bytes(&whole[..n], "x")
                .unwrap_err()
                .to_string();
            if !error.contains("cut short") {
                wrong.push(format!("{name} at {percent} %: {error}"));
            }
            // The rest of the file is zeros, as in an unfinished download.
            let reserved = [&whole[..n], &vec![0; whole.len() - n]].concat();
            let told = match read_checkpoint_bytes(&reserved, "x") {
                Err(error) => error.to_string(),
                Ok(checkpoint) => checkpoint.provenance.notes.join(" "),
            };
            // At 99 %, the zeros may be in a tensor that is not read or is not checked.
            let is_told = ["cut short", "only zeros", "fetch"]
                .iter()
                .any(|words| told.contains(words));
            if !is_told && percent < 99 {
                wrong.push(format!("{name} at {percent} % and zeros: {told}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tensors_of_safetensors_that_share_bytes_are_refused() {
    let file = |a: [usize; 2], b: [usize; 2]| {
        let entry = |[start, end]: [usize; 2]| {
            format!(
                r#"{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#,
                (end - start) / 4
            )
        };
        let header = format!(r#"{{"a":{},"b":{}}}"#, entry(a), entry(b));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + a[1].max(b[1]), 0);
        bytes
    };
    assert_eq!(
        read_tensors_bytes(&file([0, 4], [4, 8]))
            .unwrap()
            .tensors
            .len(),
        2
    );
    for (a, b) in [([0, 4], [0, 4]), ([0, 4], [2, 6]), ([0, 8], [4, 8])] {
        let error = read_tensors_bytes(&file(a, b)).unwrap_err().to_string();
        assert!(error.contains("safetensors"), "{error}");
    }
}
