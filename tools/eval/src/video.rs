//! `eval video`: a video of images from the same latents at each snapshot of a run, or of several runs side by side.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use candle_core::{DType, Device, Tensor};
use networks::{MappingOptions, SynthesisOptions};
use report::{Video, VideoFormat, VideoOptions, caption};
use rng::RandomState;
use run_folder::{RunRecord, Snapshot};
use serde_json::json;
use tool_support::find_run;

use crate::args::VideoArgs;
use crate::open::open_file_on;

/// Horizontal distance between runs in pixels.
const GAP: usize = 8;

/// The part of a frame that belongs to one run: interleaved RGB, rows from top to bottom.
#[derive(Clone)]
struct Panel {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

pub fn video(args: &VideoArgs) -> anyhow::Result<()> {
    let runs = args
        .runs
        .iter()
        .map(|path| Ok(RunRecord::open(&find_run(path)?)?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut moments: Vec<u64> = runs
        .iter()
        .flat_map(|run| run.snapshots.iter().map(|s| s.kimg))
        .collect();
    moments.sort_unstable();
    moments.dedup();
    for run in &runs {
        ensure!(
            !run.snapshots.is_empty(),
            "'{}' has no snapshots",
            run.path.display()
        );
    }
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("progress.{}", VideoFormat::best().ending())),
    };
    args.overwrite.check(&out)?;
    let names = distinguished(&runs.iter().map(RunRecord::name).collect::<Vec<_>>());
    let bar = cli::Progress::new("video", Some(moments.len() as u64), "snapshots");
    let mut video: Option<Video> = None;
    let mut shown: Vec<Option<(u64, Panel)>> = vec![None; runs.len()];
    let n_frames = moments.len() as u32 + args.fps;
    for (i, &moment) in moments.iter().enumerate() {
        for ((run, name), shown) in runs.iter().zip(&names).zip(&mut shown) {
            let now = run.snapshots.iter().rev().find(|s| s.kimg <= moment);
            let Some(snapshot) = now.or(run.snapshots.first()) else {
                continue;
            };
            if shown
                .as_ref()
                .is_none_or(|(kimg, _)| *kimg != snapshot.kimg)
            {
                let panel = panel(name, snapshot, args)?;
                *shown = Some((snapshot.kimg, panel));
            }
        }
        let frame = join(
            &shown
                .iter()
                .flatten()
                .map(|(_, panel)| panel)
                .collect::<Vec<_>>(),
        );
        let video = match &mut video {
            Some(video) => video,
            none => none.insert(Video::create(
                &out,
                &VideoOptions {
                    width: frame.width as u32,
                    height: frame.height as u32,
                    fps: args.fps,
                    n_frames,
                },
            )?),
        };
        video.push(std::slice::from_ref(&frame.rgb))?;
        if i + 1 == moments.len() {
            // Show the last frame for a second.
            for _ in 0..args.fps {
                video.push(std::slice::from_ref(&frame.rgb))?;
            }
        }
        bar.inc(1);
    }
    video.context("there are no snapshots")?.finish()?;
    bar.finish();
    cli::report(
        &json!({ "video": out.to_string_lossy(), "snapshots": moments.len() }),
        |_| format!("video  {} ({} snapshots)", out.display(), moments.len()),
    );
    Ok(())
}

/// Generates a grid of images from fixed latents, below a caption with the name of the run and the kimg.
fn panel(name: &str, snapshot: &Snapshot, args: &VideoArgs) -> anyhow::Result<Panel> {
    let opened = open_file_on(&snapshot.path, &Device::Cpu)?;
    let (_, generator) = opened.generator()?;
    let config = generator.config();
    let (columns, rows) = (usize::from(args.columns), usize::from(args.rows));
    let n = columns * rows;
    let mut random = RandomState::new(args.seed);
    let z: Vec<f32> = random
        .randn(n * config.z_dim)
        .into_iter()
        .map(|v| v as f32)
        .collect();
    let z = Tensor::from_vec(z, (n, config.z_dim), &Device::Cpu)?;
    // For a conditional network, image i has class i modulo `c_dim`.
    let c = (config.c_dim > 0)
        .then(|| {
            let values = (0..n * config.c_dim).map(|i| {
                let (row, class) = (i / config.c_dim, i % config.c_dim);
                f32::from(u8::from(row % config.c_dim == class))
            });
            Tensor::from_iter(values, &Device::Cpu)?.reshape((n, config.c_dim))
        })
        .transpose()?;
    let side = config.img_resolution;
    let moment = format!("kimg {}", snapshot.kimg);
    let title = caption(columns * side, &[name, &moment]);
    let top = title.len() / (columns * side * 3);
    let mut panel = Panel {
        width: columns * side,
        height: top + rows * side,
        rgb: title,
    };
    panel.rgb.resize(panel.width * panel.height * 3, 0);
    for row in 0..rows {
        let part = |t: &Tensor| t.narrow(0, row * columns, columns);
        let images = generator.forward(
            &part(&z)?,
            c.as_ref().map(part).transpose()?.as_ref(),
            &MappingOptions::default(),
            SynthesisOptions::default(),
        )?;
        // Round, as in the preview grids of a run.
        let images = images.affine(127.5, 127.5)?.round()?.clamp(0f32, 255f32)?;
        let values: Vec<u8> = images.to_dtype(DType::U8)?.flatten_all()?.to_vec1()?;
        let channels = config.img_channels;
        for (column, image) in values.chunks_exact(channels * side * side).enumerate() {
            for y in 0..side {
                for x in 0..side {
                    let at = ((top + row * side + y) * panel.width + column * side + x) * 3;
                    for c in 0..3 {
                        panel.rgb[at + c] = image[(c.min(channels - 1) * side + y) * side + x];
                    }
                }
            }
        }
    }
    Ok(panel)
}

/// Removes from names the leading words (separated by `-`) that all names have in common. A single name stays the same.
fn distinguished(names: &[String]) -> Vec<String> {
    let words: Vec<Vec<&str>> = names.iter().map(|name| name.split('-').collect()).collect();
    let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
    let is_common = |i: &usize| words.len() > 1 && words.iter().all(|w| w[*i] == words[0][*i]);
    // Keep at least one word of each name.
    let common = (0..shortest.saturating_sub(1))
        .take_while(is_common)
        .count();
    words.iter().map(|w| w[common..].join("-")).collect()
}

/// Joins panels side by side on black. Width and height are even, as H.264 requires.
fn join(panels: &[&Panel]) -> Panel {
    let even = |n: usize| n + n % 2;
    let width = even(
        panels
            .iter()
            .map(|p| p.width + GAP)
            .sum::<usize>()
            .saturating_sub(GAP),
    );
    let height = even(panels.iter().map(|p| p.height).max().unwrap_or(0));
    let mut rgb = vec![0; width * height * 3];
    let mut left = 0;
    for panel in panels {
        for (y, row) in panel.rgb.chunks_exact(panel.width * 3).enumerate() {
            let at = (y * width + left) * 3;
            rgb[at..at + row.len()].copy_from_slice(row);
        }
        left += panel.width + GAP;
    }
    Panel { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_tells_them_apart() {
        let of =
            |names: &[&str]| distinguished(&names.iter().map(|&n| n.into()).collect::<Vec<_>>());
        assert_eq!(
            of(&[
                "00000-faces-kimg24-ada-augcustom",
                "00000-faces-kimg24-noaug"
            ]),
            ["ada-augcustom", "noaug"]
        );
        assert_eq!(of(&["00000-a", "00001-a"]), ["00000-a", "00001-a"]);
        assert_eq!(of(&["a-b", "a-b", "a-b-c"]), ["b", "b", "b-c"]);
        assert_eq!(of(&["00000-faces-ada"]), ["00000-faces-ada"]);
    }
}
