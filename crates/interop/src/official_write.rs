//! Writes `.pkl` snapshots that NVIDIA's PyTorch code opens with its own classes.
//!
//! In such a snapshot, each module is a persistent object (`torch_utils.persistence`): the name of its class, the
//! Python source text that defines the class, and the state. The source text written here only imports the class from
//! the program that opens the file, so that the file contains none of NVIDIA's source text.

use architecture::{Attr, Module, ModuleTensor};

use crate::checkpoint::{AugmentPipe, Checkpoint, Network};
use crate::error::{Result, layout};
use crate::pickle::write::{Writer, from_json};
use crate::tensor::Tensor;
use crate::torch::save::legacy_storage;

/// Python source text stored with every module of the networks.
const MODULE_SRC: &str = "# Written by kaogan: the classes are those of the program that opens this file.\n\
    from training.networks import (\n    Generator, MappingNetwork, SynthesisNetwork, SynthesisBlock, SynthesisLayer, \
    ToRGBLayer, FullyConnectedLayer,\n    Discriminator, DiscriminatorBlock, DiscriminatorEpilogue, MinibatchStdLayer, \
    Conv2dLayer)\n";

/// Python source text stored with the augmentation pipe.
const AUGMENT_SRC: &str = "# Written by kaogan: the class is that of the program that opens this file.\n\
    from training.augment import AugmentPipe\n";

/// Returns the bytes of a `.pkl` snapshot with the networks, the training set settings and the augmentation pipe of
/// `checkpoint`.
///
/// # Errors
/// `Layout` when a network lacks a tensor of its architecture, `Tensor` when a tensor is not f32.
pub(crate) fn write(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut w = Writer::new(4);
    w.ops(b"}(");
    w.text("training_set_kwargs");
    w.attr(
        &checkpoint
            .training_set_kwargs
            .as_ref()
            .map_or(Attr::None, from_json),
    );
    for (key, network) in checkpoint.networks() {
        w.text(key);
        module(&mut w, &network.config.modules(), "", network)?;
    }
    // NVIDIA's loader accepts None here, and NVIDIA's trainer creates the pipe from its command line.
    w.text("augment_pipe");
    match &checkpoint.augment_pipe {
        Some(pipe) if !pipe.buffers.is_empty() => augment_pipe(&mut w, pipe)?,
        _ => w.op(b'N'),
    }
    w.op(b'u');
    Ok(w.finish())
}

fn module(w: &mut Writer, spec: &Module, prefix: &str, network: &Network) -> Result<()> {
    let tensors = |of_module: &[ModuleTensor]| -> Result<Vec<(&str, &Tensor)>> {
        let names = of_module.iter().map(|tensor| tensor.name);
        names
            .map(|name| Ok((name, find(network, &format!("{prefix}{name}"))?)))
            .collect()
    };
    let mut attrs = spec.attrs.clone();
    attrs.push(("_init_args".into(), Attr::Tuple(spec.init_args.clone())));
    attrs.push(("_init_kwargs".into(), Attr::Dict(spec.init_kwargs.clone())));
    let object = Object {
        module_src: MODULE_SRC,
        class: spec.class,
        params: tensors(&spec.params)?,
        buffers: tensors(&spec.buffers)?,
        attrs,
    };
    object.write(w, |w| {
        for child in &spec.children {
            w.text(&child.name);
            module(w, child, &format!("{prefix}{}.", child.name), network)?;
        }
        Ok(())
    })
}

fn augment_pipe(w: &mut Writer, pipe: &AugmentPipe) -> Result<()> {
    let mut attrs = match from_json(&pipe.settings) {
        Attr::Dict(attrs) => attrs,
        _ => return Err(layout!("the settings of the augment pipe are no mapping")),
    };
    attrs.push(("_init_args".into(), Attr::Tuple(Vec::new())));
    attrs.push(("_init_kwargs".into(), from_json(&pipe.kwargs)));
    let object = Object {
        module_src: AUGMENT_SRC,
        class: "AugmentPipe",
        params: Vec::new(),
        buffers: pipe
            .buffers
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect(),
        attrs,
    };
    object.write(w, |_| Ok(()))
}

/// A persistent object (`torch_utils.persistence`) whose state is that of a `torch.nn.Module`.
struct Object<'t> {
    module_src: &'static str,
    class: &'t str,
    params: Vec<(&'t str, &'t Tensor)>,
    buffers: Vec<(&'t str, &'t Tensor)>,
    attrs: Vec<(String, Attr)>,
}

impl Object<'_> {
    /// Writes the object. `children` must write the alternating names and objects of its submodules.
    fn write(
        &self,
        w: &mut Writer,
        children: impl FnOnce(&mut Writer) -> Result<()>,
    ) -> Result<()> {
        w.global("torch_utils.persistence", "_reconstruct_persistent_obj");
        w.ops(b"}(");
        for (key, value) in [
            ("type", "class"),
            ("module_src", self.module_src),
            ("class_name", self.class),
        ] {
            w.text(key);
            w.text(value);
        }
        w.text("version");
        w.int(6);
        w.text("state");
        w.ops(b"}(");
        w.text("training");
        w.op(0x89);

        w.text("_parameters");
        w.ordered_dict();
        w.op(b'(');
        for (name, tensor) in &self.params {
            w.text(name);
            // torch._utils._rebuild_parameter(tensor, requires_grad, hooks)
            w.global("torch._utils", "_rebuild_parameter");
            w.op(b'(');
            write_tensor(w, name, tensor)?;
            w.op(0x89);
            w.ordered_dict();
            w.ops(b"tR");
        }
        w.op(b'u');

        w.text("_buffers");
        w.ordered_dict();
        w.op(b'(');
        for (name, tensor) in &self.buffers {
            w.text(name);
            write_tensor(w, name, tensor)?;
        }
        w.op(b'u');

        w.text("_non_persistent_buffers_set");
        w.op(0x8f);
        w.text("_is_full_backward_hook");
        w.op(b'N');
        // The hook dictionaries of torch 1.7; newer versions of torch create those that are missing.
        for hooks in [
            "_backward_hooks",
            "_forward_hooks",
            "_forward_pre_hooks",
            "_state_dict_hooks",
            "_load_state_dict_pre_hooks",
        ] {
            w.text(hooks);
            w.ordered_dict();
        }

        w.text("_modules");
        w.ordered_dict();
        w.op(b'(');
        children(w)?;
        w.op(b'u');

        for (name, value) in &self.attrs {
            w.text(name);
            w.attr(value);
        }
        w.ops(b"uu\x85R");
        Ok(())
    }
}

fn find<'n>(network: &'n Network, name: &str) -> Result<&'n Tensor> {
    network
        .params
        .get(name)
        .or_else(|| network.buffers.get(name))
        .ok_or_else(|| layout!("no tensor `{name}` to write"))
}

fn write_tensor(w: &mut Writer, name: &str, tensor: &Tensor) -> Result<()> {
    let storage = legacy_storage(name, tensor)?;
    w.tensor(&tensor.shape, |w| {
        w.global("torch.storage", "_load_from_bytes");
        w.bytes(&storage);
        w.ops(b"\x85R");
    });
    Ok(())
}
