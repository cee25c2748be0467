//! Tests of state dicts.

use std::path::Path;

use indexmap::IndexMap;

use crate::checkpoint::{Checkpoint, Format};
use crate::tensor::Tensor;
use crate::torch::save::{Saved, zip_file};
use crate::{checkpoint_bytes, read_checkpoint, read_checkpoint_bytes, read_tensors_bytes};

type Dict = IndexMap<String, Tensor>;

fn original() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/official.pkl");
    read_checkpoint(&path).unwrap()
}

/// The tensors of the test network `key` (`g`, `d` or `g_ema`) under rosinality's names, without the prefix `key.`.
fn rosinality(key: &str) -> Dict {
    let bytes = checkpoint_bytes(Format::Rosinality, &original()).unwrap();
    below(read_tensors_bytes(&bytes).unwrap().tensors, key)
}

fn official(key: &str) -> Dict {
    let bytes = checkpoint_bytes(Format::SafeTensors, &original()).unwrap();
    below(read_tensors_bytes(&bytes).unwrap().tensors, key)
}

fn below(all: Dict, key: &str) -> Dict {
    all.into_iter()
        .filter_map(|(name, tensor)| {
            let rest = name.strip_prefix(key)?.strip_prefix('.')?;
            Some((rest.to_owned(), tensor))
        })
        .collect()
}

fn prefixed(dict: &Dict, prefix: &str) -> Dict {
    let entries = dict.iter();
    entries
        .map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone()))
        .collect()
}

fn without(dict: &Dict, part: &str) -> Dict {
    let entries = dict.iter().filter(|(name, _)| !name.contains(part));
    entries.map(|(name, t)| (name.clone(), t.clone())).collect()
}

fn w_avg() -> Tensor {
    original().g_ema.unwrap().buffers["mapping.w_avg"].clone()
}

/// The bytes of a `.pt` file with these state dicts under their keys, and the `latent_avg` of the test network.
fn file(entries: &[(&str, &Dict)]) -> Vec<u8> {
    let average = w_avg();
    let mut all: Vec<(&str, Saved<'_>)> = entries
        .iter()
        .map(|(key, dict)| (*key, Saved::StateDict(dict)))
        .collect();
    all.push(("latent_avg", Saved::Tensor(&average)));
    zip_file(&all).unwrap()
}

/// The bytes of a `.pt` file with these tensors at the top level.
fn bare(dict: &Dict) -> Vec<u8> {
    let entries = dict.iter();
    let entries: Vec<(&str, Saved<'_>)> = entries
        .map(|(name, tensor)| (name.as_str(), Saved::Tensor(tensor)))
        .collect();
    zip_file(&entries).unwrap()
}

fn read(bytes: &[u8]) -> Checkpoint {
    read_checkpoint_bytes(bytes, "x.pt").unwrap()
}

fn keys(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint.networks().map(|(key, _)| key).collect()
}

/// Asserts that all tensors except `w_avg` and the noise maps equal those of the test network.
fn assert_weights(checkpoint: &Checkpoint) {
    let original = original();
    for (key, network) in checkpoint.networks() {
        let wanted = original.networks().find(|(k, _)| *k == key).unwrap().1;
        for (name, tensor) in wanted.tensors() {
            if name != "mapping.w_avg" && !name.ends_with("noise_const") {
                let found = network.tensors().find(|(n, _)| *n == name).unwrap().1;
                assert_eq!(found, tensor, "{key} {name}");
            }
        }
    }
}

fn notes(checkpoint: &Checkpoint) -> String {
    checkpoint.provenance.notes.join("\n")
}

#[test]
fn a_generator_without_noise_maps_is_read_and_says_so() {
    let g_ema = without(&rosinality("g_ema"), "noises.");
    let bytes = file(&[("g_ema", &g_ema)]);
    let checkpoint = read(&bytes);
    assert_eq!(keys(&checkpoint), ["G_ema"]);
    assert_weights(&checkpoint);
    let network = checkpoint.g_ema.as_ref().unwrap();
    assert_eq!(network.buffers["mapping.w_avg"], w_avg());
    assert!(network.noise_is_assumed());
    let text = notes(&checkpoint);
    assert!(
        text.contains("g_ema has no stored noise for 3 of its layers"),
        "{text}"
    );
    // The drawn noise is normal, has the right size, is the same in every reading and differs between layers.
    let noise = |name: &str| {
        let tensor = &network.buffers[&format!("synthesis.{name}.noise_const")];
        (tensor.shape.clone(), tensor.to_f32())
    };
    let (shape, values) = noise("b8.conv1");
    assert_eq!(shape, [8, 8]);
    let square: f32 = values.iter().map(|v| v * v).sum::<f32>() / 64.0;
    assert!((0.5..1.6).contains(&square), "{square}");
    assert_ne!(values, noise("b8.conv0").1);
    assert_eq!(read(&bytes).g_ema, checkpoint.g_ema);
    // A file with all noise maps keeps them; of a file that lacks one, only that one is drawn.
    let whole = rosinality("g_ema");
    assert!(
        !read(&file(&[("g_ema", &whole)]))
            .g_ema
            .unwrap()
            .noise_is_assumed()
    );
    let mut part = whole.clone();
    part.shift_remove("noises.noise_2").unwrap();
    let part = read(&file(&[("g_ema", &part)])).g_ema.unwrap();
    assert!(part.noise_is_assumed());
    assert_eq!(
        part.buffers["synthesis.b8.conv1.noise_const"].to_f32(),
        values
    );
    let first = "synthesis.b4.conv1.noise_const";
    assert_eq!(
        part.buffers[first],
        original().g_ema.unwrap().buffers[first]
    );
    // The safetensors file written from it still records that the noise was drawn.
    let ours = checkpoint_bytes(Format::SafeTensors, &checkpoint).unwrap();
    assert!(read(&ours).g_ema.unwrap().noise_is_assumed());
}

#[test]
fn networks_are_found_whatever_stands_in_front_of_their_names() {
    let (g, d, g_ema) = (rosinality("g"), rosinality("d"), rosinality("g_ema"));
    let with = |dict: &Dict, prefix: &str| prefixed(dict, prefix);
    let all = [("g", &g), ("d", &d), ("g_ema", &g_ema)];
    let both: Dict = with(&g_ema, "generator_ema.")
        .into_iter()
        .chain(with(&d, "discriminator."))
        .collect();
    for (bytes, wanted) in [
        (file(&all), &["G", "D", "G_ema"][..]),
        (file(&all[..1]), &["G"]),
        (file(&all[1..2]), &["D"]),
        (file(&all[..2]), &["G", "D"]),
        (file(&all[1..]), &["D", "G_ema"]),
        (file(&[("g_ema", &with(&g_ema, "module."))]), &["G_ema"]),
        (
            file(&[("g", &with(&g, "module.")), ("d", &with(&d, "module."))]),
            &["G", "D"],
        ),
        (
            file(&[("g_ema", &with(&g_ema, "_orig_mod.module."))]),
            &["G_ema"],
        ),
        (bare(&g_ema), &["G_ema"]),
        (bare(&d), &["D"]),
        (bare(&with(&g_ema, "module.")), &["G_ema"]),
        (bare(&with(&d, "module.")), &["D"]),
        (bare(&with(&g, "g.")), &["G"]),
        (file(&[("state_dict", &g_ema)]), &["G_ema"]),
        (file(&[("model", &with(&g_ema, "module."))]), &["G_ema"]),
        (file(&[("state_dict", &both)]), &["D", "G_ema"]),
        (file(&[("params_ema", &g_ema)]), &["G_ema"]),
        (bare(&official("G_ema")), &["G_ema"]),
        (bare(&official("D")), &["D"]),
        (
            file(&[("G_ema", &official("G_ema")), ("D", &official("D"))]),
            &["D", "G_ema"],
        ),
        (file(&[("G", &with(&official("G"), "module."))]), &["G"]),
    ] {
        let checkpoint = read(&bytes);
        let tensors = read_tensors_bytes(&bytes).unwrap().tensors;
        let first = tensors.keys().next().unwrap();
        assert_eq!(keys(&checkpoint), wanted, "{first}");
        let text = notes(&checkpoint);
        assert!(!text.contains("was left out"), "{first}: {text}");
        assert_weights(&checkpoint);
    }
}

#[test]
fn an_average_that_is_missing_is_estimated_and_other_things_are_named() {
    let g = rosinality("g");
    let mut entries: Vec<(&str, Saved<'_>)> = vec![("g", Saved::StateDict(&g))];
    let checkpoint = read(&zip_file(&entries).unwrap());
    assert!(
        notes(&checkpoint).contains("g has no average of w"),
        "{}",
        notes(&checkpoint)
    );
    assert!(checkpoint.g.unwrap().buffers.contains_key("mapping.w_avg"));
    let optimizer: Dict = [
        ("state.0.exp_avg".to_owned(), w_avg()),
        ("state.0.step".to_owned(), w_avg()),
    ]
    .into();
    let average = w_avg();
    entries.push(("g_optim", Saved::StateDict(&optimizer)));
    entries.push(("latent_avg", Saved::Tensor(&average)));
    let checkpoint = read(&zip_file(&entries).unwrap());
    let text = notes(&checkpoint);
    assert!(
        text.contains("`g_optim` (2 tensors) was left out"),
        "{text}"
    );
    assert_eq!(checkpoint.g.unwrap().buffers["mapping.w_avg"], average);
}

/// Reads a `.pt` file and a safetensors file with these tensors.
fn read_both(dict: &Dict) -> [Checkpoint; 2] {
    let views = dict.iter().map(|(name, tensor)| {
        let view = ::safetensors::tensor::TensorView::new(
            ::safetensors::Dtype::F32,
            tensor.shape.clone(),
            &tensor.data,
        );
        (name.as_str(), view.unwrap())
    });
    let bytes = ::safetensors::serialize(views, None).unwrap();
    [read(&bare(dict)), read(&bytes)]
}

#[test]
fn an_average_is_found_wherever_it_stands() {
    // Averages that differ from the estimate and from that of the test network.
    let width = w_avg().len();
    let row = |value: f32| Tensor::from_f32(vec![width], &vec![value; width]).unwrap();
    let average_of = |network: &Option<crate::Network>| {
        network.as_ref().unwrap().buffers["mapping.w_avg"].clone()
    };
    let (g, g_ema) = (rosinality("g"), rosinality("g_ema"));
    let official = without(&official("G_ema"), "w_avg");
    for (prefix, place) in [
        ("", "latent_avg"),
        ("", "module.latent_avg"),
        ("", "w_avg"),
        ("", "mapping.w_avg"),
        ("", "dlatent_avg"),
        ("module.", "latent_avg"),
        ("module.", "module.latent_avg"),
        ("g_ema.", "latent_avg"),
        ("g_ema.", "g_ema.latent_avg"),
        ("g_ema.", "g_ema.mapping.w_avg"),
        ("g_ema.", "module.w_avg"),
        ("g_ema.module.", "latent_avg"),
        ("g_ema.module.", "g_ema.latent_avg"),
        ("g_ema.module.", "g_ema.module.latent_avg"),
        ("module.g_ema.", "module.latent_avg"),
        ("module.g_ema.", "module.g_ema.latent_avg"),
        ("state_dict.g_ema.module.", "latent_avg"),
        ("state_dict.g_ema.module.", "state_dict.latent_avg"),
        ("state_dict.g_ema.module.", "state_dict.module.latent_avg"),
        ("state_dict.g_ema.module.", "state_dict.g_ema.w_avg"),
        ("G_ema.", "latent_avg"),
        ("G_ema.", "G_ema.latent_avg"),
        ("params_ema.", "params_ema.mapping.w_avg"),
        // Below another key, but the only average of the file.
        ("decoder.", "stats.latent_avg"),
    ] {
        for dict in [&g_ema, &official] {
            let mut all = prefixed(dict, prefix);
            all.insert(place.to_owned(), row(7.0));
            for checkpoint in read_both(&all) {
                let text = notes(&checkpoint);
                assert_eq!(
                    average_of(&checkpoint.g_ema),
                    row(7.0),
                    "{prefix} {place}: {text}"
                );
                assert_eq!(text, "", "{prefix} {place}");
            }
        }
    }
    // The average is beside the state dict, then inside it.
    let seven = row(7.0);
    let mut flat = prefixed(&g_ema, "g_ema.module.");
    for is_inside in [false, true] {
        if is_inside {
            flat.insert("latent_avg".into(), row(7.0));
        }
        let mut entries = vec![("state_dict", Saved::StateDict(&flat))];
        if !is_inside {
            entries.push(("latent_avg", Saved::Tensor(&seven)));
        }
        let checkpoint = read(&zip_file(&entries).unwrap());
        assert_eq!(average_of(&checkpoint.g_ema), seven);
        assert_eq!(notes(&checkpoint), "");
    }
    // Two generators: each takes its own average; G takes that of G_ema if it has none, with a note.
    for (places, wanted, is_told) in [
        (
            &[("latent_avg", 7.0), ("latent_avg_of_g", 5.0)][..],
            [5.0, 7.0],
            false,
        ),
        (
            &[("g_ema.latent_avg", 7.0), ("g.latent_avg", 5.0)],
            [5.0, 7.0],
            false,
        ),
        (&[("g_ema.latent_avg", 7.0)], [7.0, 7.0], true),
        (&[("latent_avg", 7.0)], [7.0, 7.0], true),
    ] {
        let mut all: Dict = prefixed(&g, "g.");
        all.extend(prefixed(&g_ema, "g_ema."));
        let averages = places.iter();
        all.extend(averages.map(|(name, value)| ((*name).to_owned(), row(*value))));
        for checkpoint in read_both(&all) {
            let found = [average_of(&checkpoint.g), average_of(&checkpoint.g_ema)];
            assert_eq!(found, wanted.map(row), "{places:?}");
            let text = notes(&checkpoint);
            assert_eq!(
                text.contains("that of g_ema"),
                is_told,
                "{places:?}: {text}"
            );
            assert!(!text.contains("left out"), "{places:?}: {text}");
        }
    }
    // Notes report an average of the wrong width, and an average that no generator uses.
    let mut all = g_ema.clone();
    let short = Tensor::from_f32(vec![1], &[1.0]).unwrap();
    all.insert("latent_avg".into(), short);
    let text = notes(&read(&bare(&all)));
    assert!(
        text.contains("has shape [1]") && text.contains("has no average of w"),
        "{text}"
    );
    all.insert("latent_avg".into(), row(7.0));
    all.insert("other.latent_avg".into(), row(5.0));
    let checkpoint = read(&bare(&all));
    assert_eq!(average_of(&checkpoint.g_ema), row(7.0));
    let text = notes(&checkpoint);
    assert!(text.contains("`other.latent_avg` was left out"), "{text}");
}

#[test]
fn what_is_no_network_or_two_of_them_is_refused_by_name() {
    let g = rosinality("g");
    let two = file(&[("a", &g), ("b", &g)]);
    let lucid: Dict = [("GAN.G.initial_block.weight".to_owned(), w_avg())].into();
    let odd: Dict = [("weight".to_owned(), w_avg())].into();
    let missing = without(&g, "conv1.conv.weight");
    let strange: Dict = g
        .iter()
        .map(|(n, t)| (n.replace("style.1.", "style.x."), t.clone()))
        .collect();
    for (bytes, wanted) in [
        (two, "several networks could be G_ema: `a`, `b`"),
        (file(&[("GAN", &lucid)]), "lucidrains"),
        (
            file(&[("net", &odd)]),
            "no StyleGAN2 network under names that are known",
        ),
        (bare(&odd), "`weight`"),
        (
            file(&[("g_ema", &missing)]),
            "no tensor `synthesis.b4.conv1.weight`",
        ),
        (file(&[("g_ema", &strange)]), "style.x."),
    ] {
        let error = read_checkpoint_bytes(&bytes, "x.pt")
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
