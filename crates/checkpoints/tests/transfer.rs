//! Transfers the weights of files into the networks of new runs.

use std::path::PathBuf;

use architecture::{DiscriminatorConfig, GeneratorConfig};
use candle_core::{Device, Tensor};
use checkpoints::{Error, Opened, Refusal, TransferOptions, check, init_from, open_file};
use networks::{Parameters, Snapshot};
use rng::RandomState;

const PARTIAL: TransferOptions = TransferOptions {
    allow_partial: true,
};

/// A test snapshot: 8 px, 2 mapping layers, no labels; three layers of D were frozen in training.
fn official() -> Opened {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../interop/tests/data/official.pkl"
    );
    open_file(&PathBuf::from(path), &Device::Cpu).unwrap()
}

fn configs(opened: &Opened) -> (GeneratorConfig, DiscriminatorConfig) {
    let networks = &opened.networks;
    let g = networks.g.as_ref().unwrap().config().clone();
    (g, networks.d.as_ref().unwrap().config().clone())
}

fn refusal(opened: &Opened, g: &GeneratorConfig, d: &DiscriminatorConfig) -> Refusal {
    let random = &mut RandomState::new(0);
    let options = TransferOptions::default();
    match init_from(opened, g, d, &options, random, &Device::Cpu) {
        Err(Error::Refused(refusal)) => *refusal,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was taken"),
    }
}

fn values(parameters: &Parameters, name: &str) -> Vec<f32> {
    let tensor: Tensor = parameters.get(name).unwrap().as_detached_tensor();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_fitting_file_loads_to_the_last_buffer() {
    let opened = official();
    let (g_config, mut d_config) = configs(&opened);
    // Settings that a run chooses freely.
    d_config.freeze_layers = 0;
    d_config.mbstd_group_size = None;
    d_config.conv_clamp = None;
    let random = &mut RandomState::new(0);
    let options = TransferOptions::default();
    let start = init_from(
        &opened,
        &g_config,
        &d_config,
        &options,
        random,
        &Device::Cpu,
    )
    .unwrap();
    assert!(start.report.fits(), "{}", start.report);
    let file = &opened.networks;
    for (ours, theirs) in [
        (start.g.parameters(), file.g.as_ref().unwrap().parameters()),
        (start.d.parameters(), file.d.as_ref().unwrap().parameters()),
        (
            start.g_ema.parameters(),
            file.g_ema.as_ref().unwrap().parameters(),
        ),
    ] {
        for (name, _, _) in theirs.iter() {
            assert_eq!(values(ours, name), values(theirs, name), "{name}");
        }
    }
    // The loaded weights are trainable and do not share memory with those of the file.
    assert!(
        start.d.parameters().trainable().count()
            > file.d.as_ref().unwrap().parameters().trainable().count()
    );
    let name = "mapping.w_avg";
    let w_avg = start.g.parameters().get(name).unwrap();
    w_avg
        .set(&w_avg.as_detached_tensor().affine(0.0, 7.0).unwrap())
        .unwrap();
    assert_ne!(
        values(file.g.as_ref().unwrap().parameters(), name),
        values(start.g.parameters(), name)
    );
}

#[test]
fn another_mapping_depth_is_refused_with_the_flag() {
    let opened = official();
    let (mut g_config, d_config) = configs(&opened);
    g_config.mapping.num_layers = 1;
    let refusal = refusal(&opened, &g_config, &d_config);
    assert_eq!(
        refusal.to_string(),
        "official.pkl cannot be used here: mapping.num_layers 2 instead of 1\n\
         use `--map-layers 2`\n\
         `--allow-partial` loads the tensors that fit (30 of 30 of G, 13 of 13 of D, 30 of 30 of G_ema) and leaves the \
         others random"
    );
    let names = format!("{:#}", refusal.report);
    assert!(names.contains("mapping.fc1.weight"), "{names}");
    // With the advised settings, the file fits.
    g_config.mapping.num_layers = 2;
    assert!(check(&opened, &g_config, &d_config).unwrap().fits());
    assert_eq!(
        refusal.report.networks[0].tensors.unused,
        ["mapping.fc1.weight", "mapping.fc1.bias"]
    );
    assert!(refusal.report.networks[1].fits(), "D has no part in this");
}

#[test]
fn a_file_without_a_discriminator_fits_in_part() {
    // A generator with the settings of NVIDIA's FFHQ networks but 8 px, to keep the file small.
    let mut config = GeneratorConfig {
        channel_base: 32768,
        ..GeneratorConfig::new(8, 3)
    };
    let g = networks::Generator::new(&config, &mut RandomState::new(1), &Device::Cpu).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ffhq.safetensors");
    let snapshot = Snapshot {
        g_ema: Some(g),
        ..Default::default()
    };
    snapshot.save(&path).unwrap();
    let opened = open_file(&path, &Device::Cpu).unwrap();
    config.mapping.num_layers = 2;
    let refusal = refusal(&opened, &config, &DiscriminatorConfig::new(8, 3));
    let text = refusal.to_string();
    assert!(
        text.starts_with(
            "ffhq.safetensors cannot be used here: mapping.num_layers 8 instead of 2; it has no D\n"
        ),
        "{text}"
    );
    // No flag can replace the missing discriminator.
    assert_eq!(refusal.advice.len(), 1);
    assert!(refusal.advice[0].starts_with("`--allow-partial`"));
    let mut d_config = DiscriminatorConfig::new(8, 3);
    opened.adopt(&mut config, &mut d_config);
    assert_eq!(config.mapping.num_layers, 8);
    let report = check(&opened, &config, &d_config).unwrap();
    let fits: Vec<bool> = report.networks.iter().map(|n| n.fits()).collect();
    assert_eq!(fits, [true, false, true]);
    assert!(report.notes[0].contains("starts from G_ema"));
}

#[test]
fn a_part_is_taken_when_asked_for() {
    let opened = official();
    let (mut g_config, mut d_config) = configs(&opened);
    g_config.img_resolution = 16;
    d_config.img_resolution = 16;
    d_config.freeze_layers = 0;
    let text = refusal(&opened, &g_config, &d_config).to_string();
    assert!(text.contains("prepare the dataset at 8 px"), "{text}");
    let random = &mut RandomState::new(0);
    let start = init_from(
        &opened,
        &g_config,
        &d_config,
        &PARTIAL,
        random,
        &Device::Cpu,
    )
    .unwrap();
    let g = &start.report.networks[0].tensors;
    assert!(
        g.missing
            .iter()
            .all(|name| name.starts_with("synthesis.b16"))
    );
    assert!(!g.missing.is_empty() && g.mismatched.is_empty());
    let file = opened.networks.g_ema.as_ref().unwrap().parameters();
    let name = "synthesis.b8.conv1.weight";
    assert_eq!(values(start.g_ema.parameters(), name), values(file, name));
    // Tensors that are not in the file have the same random weights in both generators.
    let name = "synthesis.b16.conv1.weight";
    assert_eq!(
        values(start.g_ema.parameters(), name),
        values(start.g.parameters(), name)
    );
}

#[test]
fn weights_of_another_meaning_are_refused() {
    let opened = official();
    let (mut g_config, d_config) = configs(&opened);
    g_config.mapping.lr_multiplier = 1.0;
    g_config.activation = ops::Activation::Relu;
    let text = refusal(&opened, &g_config, &d_config).to_string();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let expected: [&[&str]; 3] = [
        &["setting", "file", "here", "networks"],
        &["mapping.lr_multiplier", "0.01", "1.0", "G,", "G_ema"],
        &["activation", "\"lrelu\"", "\"relu\"", "G,", "G_ema"],
    ];
    assert_eq!(rows[1..4], expected, "{text}");
    assert_eq!(rows.len(), 5, "no flag changes these: {text}");
}

#[test]
fn a_setting_without_a_flag_is_named_first_and_no_flag_is_advised() {
    let opened = official();
    let (mut g_config, d_config) = configs(&opened);
    g_config.z_dim = 512;
    g_config.mapping.num_layers = 1;
    let refusal = refusal(&opened, &g_config, &d_config);
    let text = refusal.to_string();
    let first =
        "official.pkl cannot be used here: z_dim 4 instead of 512 (and 1 more setting, below)";
    assert_eq!(text.lines().next(), Some(first));
    assert!(!text.contains("--map-layers"), "it would not help: {text}");
    assert!(text.len() < 500 && !text.contains("fc0"), "{text}");
}

#[test]
fn every_flag_that_is_advised_is_needed_and_they_suffice() {
    let opened = official();
    let (mut g_config, mut d_config) = configs(&opened);
    let (base, max) = (g_config.channel_base, g_config.channel_max);
    let layers = g_config.mapping.num_layers;
    (g_config.channel_base, d_config.channel_base) = (base * 2, base * 2);
    (g_config.channel_max, d_config.channel_max) = (max * 4, max * 4);
    g_config.mapping.num_layers = layers + 3;
    let refusal = refusal(&opened, &g_config, &d_config);
    assert_eq!(
        refusal.advice[0],
        format!("use `--map-layers {layers} --cbase {base} --cmax {max}`")
    );
}
