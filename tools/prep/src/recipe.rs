//! Resolves the settings of a run (flags override the recipe, which overrides the preset), and writes them as a recipe.

use crate::args::RunArgs;
use anyhow::{Context, bail};
use curation::CurationConfig;
use detect::crop::{CropOptions, CropPreset};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The entries of a recipe that are not part of [`CurationConfig`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame {
    inputs: Vec<PathBuf>,
    out: Option<PathBuf>,
    preset: Option<CropPreset>,
}

/// Inputs, output and settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resolved {
    pub inputs: Vec<PathBuf>,
    pub out: PathBuf,
    #[serde(flatten)]
    pub config: CurationConfig,
}

impl Resolved {
    /// The resolved recipe as TOML; a run with it has the same settings.
    ///
    /// # Errors
    /// Names the flag of a path that is not UTF-8, since a recipe can only contain text.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        let config = &self.config;
        let inputs = self.inputs.iter().map(|path| ("input", path));
        let flags = [
            ("--out", Some(&self.out)),
            ("--metadata", config.metadata.posts.as_ref()),
            ("--exclude", config.exclude.as_ref()),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, path)| Some((flag, path?)));
        for (flag, path) in inputs.chain(flags) {
            if path.to_str().is_none() {
                bail!(
                    "{flag}: '{}' is not UTF-8, and the recipe that is written beside the zip holds text only: rename it, \
                     make a link to it (ln -s), or give the folder around it",
                    cli::escaped(path.as_os_str())
                );
            }
        }
        let mut table = Table::try_from(self)?;
        table.iter_mut().for_each(|(_, value)| shorten(value));
        Ok(format!(
            "# Every setting of this run; `prep run --recipe` accepts it. Paths are as they were typed.\n{}",
            toml::to_string(&table)?
        ))
    }
}

/// Gives numbers that were f32 their shortest decimal form: 0.1 instead of 0.10000000149011612.
fn shorten(value: &mut Value) {
    match value {
        Value::Float(v) if f64::from(*v as f32) == *v => {
            if let Ok(short) = (*v as f32).to_string().parse() {
                *v = short;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| shorten(value)),
        _ => {}
    }
}

/// Resolves preset, recipe and flags to the inputs, the output and the settings of a run.
pub fn resolve(args: &RunArgs) -> anyhow::Result<Resolved> {
    let mut recipe = match &args.recipe {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    let named = || {
        args.recipe
            .as_ref()
            .map_or_else(String::new, |path| format!("recipe '{}'", path.display()))
    };
    let frame: Frame = Value::Table(recipe.clone())
        .try_into()
        .with_context(named)?;
    for key in ["inputs", "out", "preset"] {
        recipe.remove(key);
    }
    let preset = args.preset.or(frame.preset).unwrap_or(CropPreset::Head);
    let base = CurationConfig {
        crop: preset.options(),
        ..CurationConfig::default()
    };
    let mut table = Table::try_from(base)?;
    // A preset on the command line is a flag, so its framing overrides that of the recipe.
    if args.preset.is_some()
        && let Some(Value::Table(crop)) = recipe.get_mut("crop")
    {
        crop.remove("expand");
        crop.remove("shift_up");
    }
    merge(&mut table, recipe);
    let mut config: CurationConfig = Value::Table(table).try_into().with_context(named)?;
    apply(args, &mut config);
    validate(&config)?;

    let inputs = if args.inputs.is_empty() {
        frame.inputs
    } else {
        args.inputs.clone()
    };
    if inputs.is_empty() {
        bail!(
            "no input: name folders, zips or tars (`prep run images/ --out faces.zip`), or give `inputs` in a recipe"
        );
    }
    let Some(out) = args.out.clone().or(frame.out) else {
        bail!("no output: name the zip with --out faces.zip, or give `out` in a recipe");
    };
    Ok(Resolved {
        inputs,
        out,
        config,
    })
}

/// The inputs in the recipe at `path`; `None` when there is no valid recipe.
pub fn inputs_of(path: &Path) -> Option<Vec<PathBuf>> {
    let recipe = read(path).ok()?;
    let frame: Frame = Value::Table(recipe).try_into().ok()?;
    Some(frame.inputs)
}

/// Largest size of a recipe in bytes; it may list its inputs one by one.
const MAX_BYTES: u64 = 64 << 20;

fn read(path: &Path) -> anyhow::Result<Table> {
    let named = || format!("recipe '{}'", path.display());
    let text = files::read_input_text(path, MAX_BYTES).with_context(named)?;
    let mut recipe: Table = text.parse().with_context(named)?;
    rename_old_keys(&mut recipe);
    Ok(recipe)
}

/// Settings that earlier versions named differently: table, earlier name, present name.
const OLD_KEYS: [(&str, &str, &str); 2] = [
    ("filters", "colour", "chroma"),
    ("dedup", "pictures", "images"),
];

/// Renames settings of earlier versions, so that they override the defaults.
fn rename_old_keys(recipe: &mut Table) {
    for (table, old, new) in OLD_KEYS {
        if let Some(Value::Table(table)) = recipe.get_mut(table)
            && let Some(value) = table.remove(old)
        {
            table.entry(new).or_insert(value);
        }
    }
}

/// Overwrites the entries of `under` with those of `over`. Tables that both have are merged in the same way.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn apply(args: &RunArgs, config: &mut CurationConfig) {
    fn set<T: Clone>(target: &mut T, flag: &Option<T>) {
        if let Some(value) = flag {
            *target = value.clone();
        }
    }
    fn set_option<T: Clone>(target: &mut Option<T>, flag: &Option<T>) {
        if flag.is_some() {
            target.clone_from(flag);
        }
    }
    fn set_list(target: &mut Vec<String>, flag: &[String]) {
        if !flag.is_empty() {
            *target = flag.to_vec();
        }
    }
    set(&mut config.detector, &args.detector);
    set_option(&mut config.detect.threshold, &args.face_score);
    set(&mut config.detect.min_face, &args.min_face);
    set(&mut config.detect.max_faces, &args.max_faces);
    set_option(&mut config.detect.longest_side, &args.longest_side);
    config.detect.tiles |= args.tiles;
    let crop: &mut CropOptions = &mut config.crop;
    set(&mut crop.resolution, &args.resolution);
    set(&mut crop.expand, &args.expand);
    set(&mut crop.shift_up, &args.shift_up);
    set(&mut crop.max_reflect, &args.max_reflect);
    set(&mut crop.max_upscale, &args.max_upscale);
    crop.upscaled_ok |= args.upscaled_ok;
    set(&mut crop.filter, &args.filter);
    let filters = &mut config.filters;
    set(&mut filters.chroma, &args.chroma);
    set(&mut filters.blank, &args.blank);
    set(&mut filters.text, &args.text);
    set(&mut filters.aspect, &args.aspect);
    set(&mut filters.blur, &args.blur);
    set(&mut filters.detail, &args.detail);
    let dedup = &mut config.dedup;
    if let Some(which) = &args.dedup {
        dedup.images = matches!(which.as_str(), "both" | "images" | "pictures");
        dedup.faces = matches!(which.as_str(), "both" | "faces");
    }
    set(&mut dedup.radius, &args.radius);
    set(&mut dedup.face_radius, &args.face_radius);
    set(&mut dedup.mirrored, &args.mirrored);
    set_option(&mut dedup.max_variants, &args.max_variants);
    let metadata = &mut config.metadata;
    set_option(&mut metadata.posts, &args.metadata);
    set_option(&mut metadata.id_pattern, &args.id_pattern);
    set_list(&mut metadata.include_tags, &args.include_tag);
    set_list(&mut metadata.exclude_tags, &args.exclude_tag);
    set_list(&mut metadata.ratings, &args.rating);
    set_option(&mut metadata.min_score, &args.min_score);
    set_option(&mut config.labels, &args.labels);
    set_option(&mut config.exclude, &args.exclude);
    set(&mut config.decode.max_pixels, &args.max_pixels);
    set(&mut config.decode.matte, &args.matte);
    set(&mut config.png_level, &args.png_level);
}

/// Refuses settings that are out of range, from flags and recipes alike.
fn validate(config: &CurationConfig) -> anyhow::Result<()> {
    let crop = &config.crop;
    let within = |name: &str, value: f32, from: f32, to: f32| {
        if (from..=to).contains(&value) {
            Ok(())
        } else {
            bail!("{name} is {value}; it must lie in {from} to {to}")
        }
    };
    within("--expand (crop.expand)", crop.expand, 0.5, 20.0)?;
    within("--shift-up (crop.shift_up)", crop.shift_up, -5.0, 5.0)?;
    within(
        "--max-reflect (crop.max_reflect)",
        crop.max_reflect,
        0.0,
        0.5,
    )?;
    within(
        "--max-upscale (crop.max_upscale)",
        crop.max_upscale,
        0.01,
        100.0,
    )?;
    within(
        "--min-face (detect.min_face)",
        config.detect.min_face,
        1.0,
        100_000.0,
    )?;
    if let Some(score) = config.detect.threshold {
        within("--face-score (detect.threshold)", score, 0.0, 1.0)?;
    }
    if let Some(side) = config.detect.longest_side
        && !(32..=65_535).contains(&side)
    {
        bail!("--longest-side (detect.longest_side) is {side}; it must lie in 32 to 65535");
    }
    if !(8..=8192).contains(&crop.resolution) {
        bail!(
            "--resolution (crop.resolution) is {}; it must lie in 8 to 8192",
            crop.resolution
        );
    }
    if !crop.resolution.is_power_of_two() {
        let below = 1 << crop.resolution.ilog2();
        tracing::warn!(
            "--resolution {} is not a power of two, and StyleGAN2 trains on powers of two: use {below} or {}",
            crop.resolution,
            2 * below
        );
    }
    config.metadata.validate()?;
    if config.png_level > 9 {
        bail!(
            "--png-level (png_level) is {}; it must lie in 0 to 9",
            config.png_level
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use curation::config::Limit;

    fn recipe(text: &str) -> (tempfile::NamedTempFile, RunArgs) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let args = RunArgs {
            recipe: Some(file.path().to_owned()),
            ..RunArgs::default()
        };
        (file, args)
    }

    #[test]
    fn preset_then_recipe_then_flag() {
        let text = "inputs = ['a']\nout = 'x.zip'\npreset = 'portrait'\ndetector = 'none'\n[crop]\nresolution = 256\nmax_upscale = 2\n";
        let (_file, mut args) = recipe(text);
        let plain = resolve(&args).unwrap();
        assert_eq!(
            plain.config.crop.expand,
            CropPreset::Portrait.options().expand
        );
        assert_eq!(
            (plain.config.crop.resolution, plain.config.crop.max_upscale),
            (256, 2.0)
        );
        args.resolution = Some(128);
        args.preset = Some(CropPreset::Face);
        args.out = Some("y.zip".into());
        let flagged = resolve(&args).unwrap();
        assert_eq!(
            flagged.config.crop.expand,
            CropPreset::Face.options().expand
        );
        assert_eq!(
            (
                flagged.config.crop.resolution,
                flagged.config.crop.max_upscale
            ),
            (128, 2.0)
        );
        assert_eq!(flagged.out, PathBuf::from("y.zip"));
    }

    #[test]
    fn the_resolved_recipe_reads_back_the_same() {
        let (_file, args) = recipe(
            "inputs = ['a', '@b.txt']\nout = 'x.zip'\ndetector = 'onnx:m.onnx'\n[filters]\nblur = 'off'\n",
        );
        let resolved = resolve(&args).unwrap();
        let text = resolved.to_toml().unwrap();
        assert!(text.contains("max_reflect = 0.1\n"), "{text}");
        let (_file, args) = recipe(&text);
        assert_eq!(resolve(&args).unwrap(), resolved);
    }

    /// Every recipe in `datasets/` is valid for `prep run`, and states the required facts about its images.
    #[test]
    fn the_recipes_of_the_repository_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let mut n = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            n += 1;
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(readme.contains(&format!("`{name}`")), "{name}: README.md");
            let text = std::fs::read_to_string(&path).unwrap();
            for fact in ["# Source: ", "# Licence: ", "# Counts: ", "# prep: "] {
                assert!(text.contains(fact), "{name}: {fact}");
            }
            let args = RunArgs {
                recipe: Some(path),
                ..RunArgs::default()
            };
            let resolved = resolve(&args).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(!resolved.inputs.is_empty(), "{name}");
        }
        assert_eq!(n, 5);
    }

    #[test]
    fn recipes_of_earlier_versions_are_read() {
        let text =
            "inputs = ['a']\nout = 'x.zip'\n[filters]\ncolour = 5\n[dedup]\npictures = false\n";
        let (_file, args) = recipe(text);
        let config = resolve(&args).unwrap().config;
        assert_eq!(config.filters.chroma, Limit::at(5.0));
        assert!(!config.dedup.images && config.dedup.faces);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("out = 'x.zip'", "no input"),
            ("inputs = ['a']", "--out"),
            (
                "inputs = ['a']\nout = 'x.zip'\n[crop]\nexpandd = 2",
                "expandd",
            ),
            ("inputs = ['a']\nout = 'x.zip'\nspeed = 2", "speed"),
            (
                "inputs = ['a']\nout = 'x.zip'\n[crop]\nexpand = 200",
                "--expand",
            ),
        ] {
            let (_file, args) = recipe(text);
            let error = format!("{:#}", resolve(&args).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
