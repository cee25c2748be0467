//! Renames the tensors of NVIDIA's TorchScript archive `inception-2015-12-05.pt`.
//!
//! Its names follow the TensorFlow graph: the first layers are `layers.conv` to `layers.conv_4`, the blocks
//! `layers.mixed` to `layers.mixed_10`, the branches of a block `tower`, `tower_1`, ... with the layers `conv`,
//! `conv_1`, ... A layer has the tensor `weight` and, for its batch normalization, `beta`, `mean` and `var`, but no
//! scale. The classifier is `output`.

use super::convolutions::convolutions;
use crate::weight_files::NamedTensors;

/// Whether the tensors of a file have the names of NVIDIA's archive.
pub(crate) fn is_torchscript(file: &NamedTensors) -> bool {
    file.contains_key("layers.conv.beta") && file.contains_key("output.weight")
}

/// The same tensors under the names of pytorch-fid's state dict, with batch normalization scales of 1 added.
pub(crate) fn renamed(file: &NamedTensors) -> NamedTensors {
    let mut all = NamedTensors::new();
    let mut copy = |from: String, to: String| {
        if let Some(tensor) = file.get(&from) {
            all.insert(to, tensor.clone());
        }
    };
    for (name, _) in convolutions() {
        let from = layer(&name);
        for (part, to) in [
            ("weight", "conv.weight"),
            ("beta", "bn.bias"),
            ("mean", "bn.running_mean"),
            ("var", "bn.running_var"),
        ] {
            copy(format!("layers.{from}.{part}"), format!("{name}.{to}"));
        }
    }
    for part in ["weight", "bias"] {
        copy(format!("output.{part}"), format!("fc.{part}"));
    }
    for (name, shape) in convolutions() {
        let scale = interop::Tensor {
            dtype: interop::DType::F32,
            shape: vec![shape.outputs],
            data: 1f32.to_le_bytes().repeat(shape.outputs),
        };
        all.insert(format!("{name}.bn.weight"), scale);
    }
    all
}

/// Converts the name of a layer from pytorch-fid's state dict to NVIDIA's archive: `Mixed_6b.branch7x7_2` becomes
/// `mixed_4.tower.conv_1`.
fn layer(name: &str) -> String {
    const STEM: [&str; 5] = [
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
        "Conv2d_3b_1x1",
        "Conv2d_4a_3x3",
    ];
    const BLOCKS: [&str; 11] = [
        "5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c",
    ];
    let numbered = |word: &str, i: usize| match i {
        0 => word.to_owned(),
        _ => format!("{word}_{i}"),
    };
    if let Some(i) = STEM.iter().position(|stem| *stem == name) {
        return numbered("conv", i);
    }
    let (block, branch) = name
        .strip_prefix("Mixed_")
        .and_then(|rest| rest.split_once('.'))
        .unwrap_or_default();
    let i = BLOCKS.iter().position(|b| *b == block).unwrap_or_default();
    let inside = match (&block[..1], branch) {
        ("7", "branch3x3_1") if block != "7a" => "tower_conv".to_owned(),
        ("7", "branch3x3_2a") => "tower_mixed_conv".to_owned(),
        ("7", "branch3x3_2b") => "tower_mixed_conv_1".to_owned(),
        ("7", "branch3x3dbl_1") => "tower_1_conv".to_owned(),
        ("7", "branch3x3dbl_2") => "tower_1_conv_1".to_owned(),
        ("7", "branch3x3dbl_3a") => "tower_1_mixed_conv".to_owned(),
        ("7", "branch3x3dbl_3b") => "tower_1_mixed_conv_1".to_owned(),
        ("7", "branch_pool") => "tower_2_conv".to_owned(),
        (_, "branch1x1") => "conv".to_owned(),
        // In a block that halves the resolution, the layer of the first branch is outside the towers.
        ("6", "branch3x3") => "conv".to_owned(),
        (_, "branch_pool") => "tower_2.conv".to_owned(),
        _ => {
            let (stem, step) = branch.rsplit_once('_').unwrap_or((branch, "1"));
            let step: usize = step.parse().unwrap_or(1);
            let tower = match stem {
                "branch5x5" | "branch7x7" | "branch3x3" => 0,
                // In the first block that halves the resolution, the branch with two 3 x 3 layers is the only tower.
                "branch3x3dbl" if block == "6a" => 0,
                _ => 1,
            };
            format!(
                "{}.{}",
                numbered("tower", tower),
                numbered("conv", step - 1)
            )
        }
    };
    format!("{}.{inside}", numbered("mixed", i))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with names in the published file.
    #[test]
    fn layers_have_the_names_of_the_graph() {
        for (ours, theirs) in [
            ("Conv2d_1a_3x3", "conv"),
            ("Conv2d_4a_3x3", "conv_4"),
            ("Mixed_5b.branch1x1", "mixed.conv"),
            ("Mixed_5c.branch5x5_2", "mixed_1.tower.conv_1"),
            ("Mixed_5d.branch3x3dbl_3", "mixed_2.tower_1.conv_2"),
            ("Mixed_5b.branch_pool", "mixed.tower_2.conv"),
            ("Mixed_6a.branch3x3", "mixed_3.conv"),
            ("Mixed_6a.branch3x3dbl_3", "mixed_3.tower.conv_2"),
            ("Mixed_6b.branch7x7_3", "mixed_4.tower.conv_2"),
            ("Mixed_6e.branch7x7dbl_5", "mixed_7.tower_1.conv_4"),
            ("Mixed_7a.branch3x3_2", "mixed_8.tower.conv_1"),
            ("Mixed_7a.branch7x7x3_4", "mixed_8.tower_1.conv_3"),
            ("Mixed_7b.branch1x1", "mixed_9.conv"),
            ("Mixed_7b.branch3x3_1", "mixed_9.tower_conv"),
            ("Mixed_7b.branch3x3_2b", "mixed_9.tower_mixed_conv_1"),
            ("Mixed_7c.branch3x3dbl_2", "mixed_10.tower_1_conv_1"),
            ("Mixed_7c.branch3x3dbl_3a", "mixed_10.tower_1_mixed_conv"),
            ("Mixed_7c.branch_pool", "mixed_10.tower_2_conv"),
        ] {
            assert_eq!(layer(ours), theirs, "{ours}");
        }
        let mut all: Vec<String> = convolutions().iter().map(|(name, _)| layer(name)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 94);
    }
}
