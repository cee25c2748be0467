//! The configuration in the format of `training_options.json` of NVIDIA's StyleGAN2-ADA.

use networks::{Architecture, DiscriminatorConfig, GeneratorConfig};
use serde_json::{Map, Value, json};

use crate::config::{LossConfig, OptimizerConfig, TrainConfig};

impl TrainConfig {
    /// The configuration as JSON in the format of `training_options.json` of NVIDIA's StyleGAN2-ADA, for tools that
    /// read that file.
    ///
    /// As in NVIDIA's file, settings that equal a default of NVIDIA's program are left out.
    pub fn training_options(&self) -> Value {
        let mut options = Map::new();
        let mut set = |key: &str, value: Value| {
            options.insert(key.to_owned(), value);
        };
        let dataset = &self.dataset;
        set("num_gpus", self.num_gpus.into());
        set("image_snapshot_ticks", self.image_snapshot_ticks.into());
        set("network_snapshot_ticks", self.network_snapshot_ticks.into());
        set("metrics", self.metrics.clone().into());
        set("random_seed", self.random_seed.into());
        let mut kwargs = json!({
            "class_name": "training.dataset.ImageFolderDataset",
            "path": dataset.path,
            "use_labels": dataset.use_labels,
            "max_size": dataset.max_size,
            "xflip": dataset.xflip,
            "resolution": dataset.resolution,
        });
        if let Some(seed) = dataset.random_seed {
            kwargs["random_seed"] = seed.into();
        }
        set("training_set_kwargs", kwargs);
        set(
            "data_loader_kwargs",
            json!({"pin_memory": true, "num_workers": self.num_workers, "prefetch_factor": 2}),
        );
        set("G_kwargs", generator_kwargs(&self.generator));
        set("D_kwargs", discriminator_kwargs(&self.discriminator));
        set("G_opt_kwargs", optimizer_kwargs(&self.g_optimizer));
        set("D_opt_kwargs", optimizer_kwargs(&self.d_optimizer));
        set("loss_kwargs", loss_kwargs(&self.loss));
        set("total_kimg", self.total_kimg.into());
        set("batch_size", self.batch_size.into());
        set("batch_gpu", self.batch_gpu.into());
        set("ema_kimg", number(self.ema_kimg));
        set("ema_rampup", self.ema_rampup.map_or(Value::Null, number));
        if let Some(target) = self.ada_target {
            set("ada_target", number(target));
        }
        if self.augment.is_some() && self.ada_target.is_none() {
            set("augment_p", number(self.augment_p));
        }
        if let Some(augment) = &self.augment {
            let mut kwargs = json!({"class_name": "training.augment.AugmentPipe"});
            for transform in augment.active() {
                kwargs[transform.name()] = number(augment.strength(transform));
            }
            set("augment_kwargs", kwargs);
        }
        if let Some(from) = &self.init_from {
            set("resume_pkl", from.as_str().into());
            set("ada_kimg", self.ada_kimg.into());
        }
        if self.bf16 {
            set("bf16", true.into());
        }
        Value::Object(options)
    }
}

fn generator_kwargs(g: &GeneratorConfig) -> Value {
    json!({
        "class_name": "training.networks.Generator",
        "z_dim": g.z_dim,
        "w_dim": g.w_dim,
        "mapping_kwargs": {"num_layers": g.mapping.num_layers},
        "synthesis_kwargs": {
            "channel_base": g.channel_base,
            "channel_max": g.channel_max,
            "num_fp16_res": g.num_fp16_res,
            "conv_clamp": g.conv_clamp.map(number),
        },
    })
}

fn discriminator_kwargs(d: &DiscriminatorConfig) -> Value {
    let mut kwargs = json!({
        "class_name": "training.networks.Discriminator",
        "block_kwargs": {},
        "mapping_kwargs": {},
        "epilogue_kwargs": {"mbstd_group_size": d.mbstd_group_size},
        "channel_base": d.channel_base,
        "channel_max": d.channel_max,
        "num_fp16_res": d.num_fp16_res,
        "conv_clamp": d.conv_clamp.map(number),
    });
    if d.architecture != Architecture::Resnet {
        kwargs["architecture"] = json!(d.architecture);
    }
    if d.freeze_layers > 0 {
        kwargs["block_kwargs"]["freeze_layers"] = d.freeze_layers.into();
    }
    kwargs
}

fn optimizer_kwargs(optimizer: &OptimizerConfig) -> Value {
    json!({
        "class_name": "torch.optim.Adam",
        "lr": optimizer.lr,
        "betas": optimizer.betas.map(number),
        "eps": optimizer.eps,
    })
}

fn loss_kwargs(loss: &LossConfig) -> Value {
    let mut kwargs = json!({
        "class_name": "training.loss.StyleGAN2Loss",
        "r1_gamma": number(loss.r1_gamma),
    });
    let defaults = LossConfig::new(loss.r1_gamma);
    if loss.pl_weight != defaults.pl_weight {
        kwargs["pl_weight"] = number(loss.pl_weight);
    }
    if loss.style_mixing_prob != defaults.style_mixing_prob {
        kwargs["style_mixing_prob"] = number(loss.style_mixing_prob);
    }
    kwargs
}

/// The number as JSON; whole numbers are written without `.0`.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        (value as i64).into()
    } else {
        value.into()
    }
}
