//! Convolutions and pooling with huge or contradictory windows.

use crate::support::*;
use crate::*;

#[test]
fn windows_beyond_all_sizes_are_refused() {
    let kernel = || vec![floats("kernel", &[3, 3, 3, 3], &[0.5; 81])];
    let lists: [(&str, usize); 5] = [
        ("pads", 4),
        ("strides", 2),
        ("dilations", 2),
        ("kernel_shape", 2),
        ("output_padding", 2),
    ];
    let mut n = 0;
    for operator in ["MaxPool", "AveragePool", "Conv", "ConvTranspose"] {
        let is_pool = operator.ends_with("Pool");
        let inputs: &[&str] = if is_pool {
            &["images"]
        } else {
            &["images", "kernel"]
        };
        for (name, length) in lists {
            if name == "output_padding" && operator != "ConvTranspose" {
                continue;
            }
            for value in [
                1 << 62,
                i64::MAX,
                i64::MIN,
                -1,
                i64::MAX - 63,
                1 << 32,
                1 << 31,
                4096,
            ] {
                for place in 0..length {
                    let mut values = vec![1; length];
                    values[place] = value;
                    let mut attributes: Vec<(&str, &[i64])> = vec![(name, &values)];
                    if name != "kernel_shape" {
                        attributes.push(("kernel_shape", &[3, 3]));
                    }
                    if name != "strides" {
                        attributes.push(("strides", &[1, 1]));
                    }
                    let nodes = vec![node(operator, inputs, &["x"], &attributes)];
                    assert_refused(&with(nodes, kernel()), &[operator, name]);
                    n += 1;
                }
            }
        }
        // Lists of a wrong length, and strides of 0.
        for (name, values) in [
            ("pads", &[1, 1][..]),
            ("pads", &[1; 6]),
            ("strides", &[0, 1]),
            ("strides", &[1]),
            ("kernel_shape", &[0, 3]),
            ("kernel_shape", &[3]),
            ("dilations", &[0, 0]),
        ] {
            let mut attributes = vec![(name, values)];
            if name != "kernel_shape" {
                attributes.push(("kernel_shape", &[3, 3]));
            }
            let nodes = vec![node(operator, inputs, &["x"], &attributes)];
            assert_refused(&with(nodes, kernel()), &[operator]);
        }
        if !is_pool {
            for group in [0, -1, 2, 3, 1 << 20, 1 << 62, i64::MIN] {
                let nodes = vec![
                    node_with_int(operator, inputs, &["x"], ("group", group))
                        .bytes(5, attribute("kernel_shape", &[3, 3])),
                ];
                // ConvTranspose with three groups is valid.
                if (operator, group) == ("ConvTranspose", 3) {
                    let file = file(&with(nodes, kernel()));
                    OnnxDetector::load(&file.path).unwrap();
                } else {
                    assert_refused(&with(nodes, kernel()), &[operator, "group"]);
                }
            }
        }
    }
    assert_eq!(n, 4 * 80 + 16);
}

#[test]
fn pads_are_smaller_than_the_windows_of_a_pool() {
    let pool = |pads: &[i64]| {
        let attributes: [(&str, &[i64]); 3] = [
            ("kernel_shape", &[3, 3]),
            ("strides", &[2, 2]),
            ("pads", pads),
        ];
        vec![node("MaxPool", &["images"], &["x"], &attributes)]
    };
    assert_refused(
        &with(pool(&[3, 0, 0, 0]), vec![]),
        &["MaxPool", "pads of 3"],
    );
    assert_refused(&with(pool(&[0, 0, 0, 1000]), vec![]), &["MaxPool", "1000"]);
    let file = file(&with(pool(&[2, 1, 0, 2]), vec![]));
    OnnxDetector::load(&file.path).unwrap();
}
