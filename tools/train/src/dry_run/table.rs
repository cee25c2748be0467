//! Formats a dry run as a table with one line for each topic.

use std::time::Duration;

use super::DryRun;
use crate::memory_check::megabytes;

impl DryRun<'_> {
    pub(super) fn to_table(&self) -> String {
        let config = self.config;
        let rows = [
            ("run", config.desc.clone()),
            ("data", self.data()),
            ("networks", self.networks()),
            ("batch", self.batch()),
            ("loss", self.loss()),
            (
                "Adam",
                format!("G {}, D {}", config.g_optimizer.lr, config.d_optimizer.lr),
            ),
            ("average", self.average()),
            ("augment", self.augment()),
            (
                "start",
                config
                    .init_from
                    .clone()
                    .unwrap_or("random weights".to_owned()),
            ),
            ("device", self.device()),
            ("memory", self.memory()),
            ("measured", self.measured()),
            ("left", self.left()),
        ];
        let lines = rows.map(|(key, value)| format!("{key:<10} {value}"));
        lines.join("\n")
    }

    fn data(&self) -> String {
        let config = self.config;
        let labels = match config.generator.c_dim {
            0 => "no labels".to_owned(),
            dim => format!("labels of width {dim}"),
        };
        let mirrored = match config.dataset.xflip {
            true => ", also mirrored",
            false => "",
        };
        format!(
            "'{}': {} images of {} px, {} channels, {labels}{mirrored}",
            config.dataset.path,
            config.dataset.max_size,
            config.dataset.resolution,
            config.generator.img_channels,
        )
    }

    fn networks(&self) -> String {
        format!(
            "G {} parameters, {} mapping layers; D {} parameters, {} frozen layers",
            self.g_parameters,
            self.config.generator.mapping.num_layers,
            self.d_parameters,
            self.config.discriminator.freeze_layers
        )
    }

    fn batch(&self) -> String {
        let (config, d) = (self.config, &self.config.discriminator);
        format!(
            "{} in micro-batches of {}, minibatch standard deviation over {}",
            config.batch_size,
            config.batch_gpu,
            d.mbstd_group_size.unwrap_or(config.batch_gpu)
        )
    }

    fn loss(&self) -> String {
        let config = self.config;
        format!(
            "R1 gamma {} every {} steps, path length {} every {}, style mixing {}",
            config.loss.r1_gamma,
            config.d_reg_interval,
            config.loss.pl_weight,
            config.g_reg_interval,
            config.loss.style_mixing_prob
        )
    }

    fn average(&self) -> String {
        let ramp = self.config.ema_rampup.map_or(String::new(), |share| {
            format!(", at most {share} of the images seen")
        });
        format!("half-life {} kimg{ramp}", self.config.ema_kimg)
    }

    fn augment(&self) -> String {
        let config = self.config;
        match (&config.augment, config.ada_target) {
            (None, _) => "none".to_owned(),
            (Some(pipe), Some(target)) => {
                let limit = config
                    .ada_max_p
                    .map_or("any p".to_owned(), |p| format!("p {p}"));
                format!("ada, target {target}, at most {limit}: {pipe}")
            }
            (Some(pipe), None) => format!("fixed p {}: {pipe}", config.augment_p),
        }
    }

    fn device(&self) -> String {
        let Some(gpu) = &self.gpu else {
            return "cpu".to_owned();
        };
        format!(
            "{}, compute capability {}.{}, driver for CUDA {}.{}, {} of {} free; {} kernels loaded",
            gpu.name,
            gpu.capability.0,
            gpu.capability.1,
            gpu.driver / 1000,
            gpu.driver % 1000 / 10,
            megabytes(gpu.memory.0 as u64),
            megabytes(gpu.memory.1 as u64),
            gpu.kernels,
        )
    }

    fn memory(&self) -> String {
        let memory = &self.predicted_memory;
        format!(
            "{} predicted, within a factor of 2: weights {}, activations of {} images {}, data {}",
            megabytes(memory.total),
            megabytes(memory.weights),
            self.config.batch_gpu,
            megabytes(memory.activations),
            megabytes(memory.images),
        )
    }

    fn measured(&self) -> String {
        let Some(measured) = &self.measured else {
            return "nothing".to_owned();
        };
        let peak = measured.peak_memory_bytes;
        format!(
            "{:.1} sec/kimg, peak memory {} (one step of every phase)",
            measured.sec_per_kimg,
            peak.map_or("unknown".to_owned(), megabytes)
        )
    }

    fn left(&self) -> String {
        let time = self.measured.as_ref().map_or(String::new(), |measured| {
            let time = Duration::from_secs_f64(measured.hours * 3600.0);
            format!(" in {}, without metrics", run_folder::format_time(time))
        });
        format!("{:.1} kimg{time}", self.images_left as f64 / 1e3)
    }
}
