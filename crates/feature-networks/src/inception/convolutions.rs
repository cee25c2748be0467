//! Names and shapes of the convolutions of the Inception network.

/// The shape of the weight of a convolution. It has no bias and is followed by a batch normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConvShape {
    pub outputs: usize,
    pub inputs: usize,
    pub height: usize,
    pub width: usize,
}

/// The name and shape of all 94 convolutions, in the order of the network.
pub(crate) fn convolutions() -> Vec<(String, ConvShape)> {
    let mut all = Vec::new();
    let mut add = |name: String, outputs, inputs, height, width| {
        let shape = ConvShape {
            outputs,
            inputs,
            height,
            width,
        };
        all.push((name, shape));
    };
    for (name, outputs, inputs, k) in [
        ("Conv2d_1a_3x3", 32, 3, 3),
        ("Conv2d_2a_3x3", 32, 32, 3),
        ("Conv2d_2b_3x3", 64, 32, 3),
        ("Conv2d_3b_1x1", 80, 64, 1),
        ("Conv2d_4a_3x3", 192, 80, 3),
    ] {
        add(name.to_owned(), outputs, inputs, k, k);
    }
    for (block, inputs, pool) in [("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)] {
        for (branch, o, i, k) in [
            ("branch1x1", 64, inputs, 1),
            ("branch5x5_1", 48, inputs, 1),
            ("branch5x5_2", 64, 48, 5),
            ("branch3x3dbl_1", 64, inputs, 1),
            ("branch3x3dbl_2", 96, 64, 3),
            ("branch3x3dbl_3", 96, 96, 3),
            ("branch_pool", pool, inputs, 1),
        ] {
            add(format!("Mixed_{block}.{branch}"), o, i, k, k);
        }
    }
    for (branch, o, i, k) in [
        ("branch3x3", 384, 288, 3),
        ("branch3x3dbl_1", 64, 288, 1),
        ("branch3x3dbl_2", 96, 64, 3),
        ("branch3x3dbl_3", 96, 96, 3),
    ] {
        add(format!("Mixed_6a.{branch}"), o, i, k, k);
    }
    for (block, c7) in [("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)] {
        for (branch, o, i, h, w) in [
            ("branch1x1", 192, 768, 1, 1),
            ("branch7x7_1", c7, 768, 1, 1),
            ("branch7x7_2", c7, c7, 1, 7),
            ("branch7x7_3", 192, c7, 7, 1),
            ("branch7x7dbl_1", c7, 768, 1, 1),
            ("branch7x7dbl_2", c7, c7, 7, 1),
            ("branch7x7dbl_3", c7, c7, 1, 7),
            ("branch7x7dbl_4", c7, c7, 7, 1),
            ("branch7x7dbl_5", 192, c7, 1, 7),
            ("branch_pool", 192, 768, 1, 1),
        ] {
            add(format!("Mixed_{block}.{branch}"), o, i, h, w);
        }
    }
    for (branch, o, i, h, w) in [
        ("branch3x3_1", 192, 768, 1, 1),
        ("branch3x3_2", 320, 192, 3, 3),
        ("branch7x7x3_1", 192, 768, 1, 1),
        ("branch7x7x3_2", 192, 192, 1, 7),
        ("branch7x7x3_3", 192, 192, 7, 1),
        ("branch7x7x3_4", 192, 192, 3, 3),
    ] {
        add(format!("Mixed_7a.{branch}"), o, i, h, w);
    }
    for (block, inputs) in [("7b", 1280), ("7c", 2048)] {
        for (branch, o, i, h, w) in [
            ("branch1x1", 320, inputs, 1, 1),
            ("branch3x3_1", 384, inputs, 1, 1),
            ("branch3x3_2a", 384, 384, 1, 3),
            ("branch3x3_2b", 384, 384, 3, 1),
            ("branch3x3dbl_1", 448, inputs, 1, 1),
            ("branch3x3dbl_2", 384, 448, 3, 3),
            ("branch3x3dbl_3a", 384, 384, 1, 3),
            ("branch3x3dbl_3b", 384, 384, 3, 1),
            ("branch_pool", 192, inputs, 1, 1),
        ] {
            add(format!("Mixed_{block}.{branch}"), o, i, h, w);
        }
    }
    all
}
