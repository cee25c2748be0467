//! The same networks are loaded from files of every format.

use std::path::PathBuf;

use candle_core::Device;
use checkpoints::{Error, Location, open, open_file};
use networks::{MappingOptions, SynthesisOptions};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/tests/data");

fn data(name: &str) -> PathBuf {
    PathBuf::from(DATA).join(name)
}

#[test]
fn every_format_gives_the_same_weights_and_images() {
    let dir = tempfile::tempdir().unwrap();
    let official = open_file(&data("official.pkl"), &Device::Cpu).unwrap();
    assert_eq!(official.keys().collect::<Vec<_>>(), ["D", "G", "G_ema"]);
    let kwargs = official.training_set_kwargs.as_ref().unwrap();
    assert_eq!(kwargs["path"], "faces.zip");

    let image = |opened: &checkpoints::Opened| {
        let (key, g) = opened.generator().unwrap();
        assert_eq!(key, "G_ema");
        let z = candle_core::Tensor::new(&[[0.5f32, -1.0, 0.25, 2.0]], &Device::Cpu).unwrap();
        let options = (MappingOptions::default(), SynthesisOptions::default());
        let image = g.forward(&z, None, &options.0, options.1).unwrap();
        image.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let expected = image(&official);
    assert!(expected.iter().any(|v| v.abs() > 1e-3), "{expected:?}");

    for name in ["a.safetensors", "a.pkl", "a.pt"] {
        let path = dir.path().join(name);
        interop::convert(&data("official.pkl"), &path).unwrap();
        let opened = open(path.to_str().unwrap(), &Device::Cpu).unwrap();
        assert_eq!(opened.checksums, official.checksums, "{name}");
        if name != "a.pt" {
            assert_eq!(image(&opened), expected, "{name}");
        } else {
            // `.pt` files do not store the clamp, so it is listed as assumed.
            assert!(!opened.assumed["G_ema"].is_empty());
        }
    }
    let tensorflow = open_file(&data("tensorflow.pkl"), &Device::Cpu).unwrap();
    for (a, b) in image(&tensorflow).iter().zip(&expected) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn what_is_saved_again_keeps_weights_and_origin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.safetensors");
    let official = open_file(&data("official.pkl"), &Device::Cpu).unwrap();
    official.networks.save(&path).unwrap();
    let copy = open_file(&path, &Device::Cpu).unwrap();
    assert_eq!(copy.checksums, official.checksums);
    assert_eq!(copy.training_set_kwargs, official.training_set_kwargs);
    assert_eq!(
        copy.provenance.parent.as_deref(),
        Some(&official.provenance)
    );
}

#[test]
fn what_cannot_be_opened_is_named() {
    let message = |text: &str| open(text, &Device::Cpu).err().unwrap().to_string();
    let error = message("ffhq2048");
    assert!(
        error.contains("ffhq2048") && error.contains("ffhq512"),
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(data("official.pkl")).unwrap();
    let cut = dir.path().join("cut.pkl");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let error = message(cut.to_str().unwrap());
    assert!(
        error.contains("cut.pkl") && error.contains("cut short"),
        "{error}"
    );
    let only_d = dir.path().join("d.safetensors");
    let mut checkpoint = interop::read_checkpoint(&data("official.pkl")).unwrap();
    (checkpoint.g, checkpoint.g_ema) = (None, None);
    interop::write_checkpoint(&only_d, interop::Format::SafeTensors, &checkpoint).unwrap();
    let opened = open_file(&only_d, &Device::Cpu).unwrap();
    assert!(matches!(opened.generator(), Err(Error::NoNetwork { .. })));

    // A file with a configuration that can be read but not built.
    let mut checkpoint = interop::read_checkpoint(&data("official.pkl")).unwrap();
    if let Some(interop::Network {
        config: architecture::NetworkConfig::Generator(g),
        ..
    }) = &mut checkpoint.g
    {
        g.conv_clamp = Some(-1.0);
    }
    let path = dir.path().join("clamp.safetensors");
    interop::write_checkpoint(&path, interop::Format::SafeTensors, &checkpoint).unwrap();
    let error = message(path.to_str().unwrap());
    assert!(
        error.starts_with("clamp.safetensors: conv_clamp is -1"),
        "{error}"
    );
}

#[test]
fn names_addresses_and_paths_become_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = downloads::DownloadOptions::new(folder.path().join("cache"));
    options.offline = true;
    let resolve = |text: &str| checkpoints::resolve(text, || Ok(options.clone()), &mut |_| ());
    let error = resolve("ffhq512").unwrap_err().to_string();
    assert!(
        error.contains("KAOGAN_OFFLINE")
            && error.contains("ffhq-res512-mirror-stylegan2-noaug.pkl"),
        "{error}"
    );

    // Files in the cache need no network access.
    let lsundog = architecture::pretrained::find("lsundog256").unwrap();
    let url = "http://127.0.0.1:9/some/net.pkl?x=1";
    std::fs::create_dir(&options.cache).unwrap();
    for name in [lsundog.file, &downloads::cache_name(url)] {
        std::fs::copy(data("official.pkl"), options.cache.join(name)).unwrap();
    }
    let by_name = resolve("lsundog256").unwrap();
    assert_eq!(by_name.pretrained, Some(lsundog));
    let file = |resolved: checkpoints::Resolved| match resolved.location {
        Location::File(path) => path,
        Location::Embedded(_) => panic!("a file is wanted"),
    };
    assert_eq!(file(by_name), options.cache.join(lsundog.file));
    let by_address = resolve(url).unwrap();
    assert_eq!(by_address.pretrained, None);
    assert_eq!(
        std::fs::read(file(by_address)).unwrap(),
        std::fs::read(data("official.pkl")).unwrap()
    );

    let own = folder.path().join("own.pkl");
    std::fs::write(&own, b"x").unwrap();
    let never = || panic!("a file needs no download");
    let by_path = checkpoints::resolve(own.to_str().unwrap(), never, &mut |_| ()).unwrap();
    assert_eq!(file(by_path), own);
    let shipped = checkpoints::resolve("drawn64", never, &mut |_| ()).unwrap();
    assert!(matches!(shipped.location, Location::Embedded(_)));
    let error = resolve("ffhq-512").unwrap_err().to_string();
    assert!(
        error.contains("ffhq-512") && error.contains("ffhq512, ffhq1024"),
        "{error}"
    );
    // A login page in the cache is not a checkpoint.
    std::fs::write(options.cache.join(lsundog.file), "<!DOCTYPE html>").unwrap();
    let error = resolve("lsundog256").unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}

#[test]
fn the_network_that_ships_is_whole() {
    let opened = open("drawn64", &Device::Cpu).unwrap();
    assert_eq!(opened.keys().collect::<Vec<_>>(), ["D", "G", "G_ema"]);
    assert_eq!(opened.provenance.source, "drawn64.safetensors");
    let (_, generator) = opened.generator().unwrap();
    assert_eq!(generator.config().img_resolution, 64);
    let path = &opened.training_set_kwargs.unwrap()["path"];
    assert_eq!(path, "drawn64.zip", "no path of the machine that made it");
}

#[test]
fn one_generator_is_enough_for_images() {
    let path = data("official.pkl");
    let open = |key: Option<&str>| {
        let opened =
            checkpoints::open_generator(path.to_str().unwrap(), key, &Device::Cpu, &mut |_| {});
        let opened = opened.unwrap();
        opened.keys().collect::<Vec<_>>()
    };
    assert_eq!(open(None), ["G_ema"]);
    assert_eq!(open(Some("G_ema")), ["G_ema"]);
    assert_eq!(open(Some("G")), ["G"]);
}
