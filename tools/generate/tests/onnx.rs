//! Runs the exported ONNX graph in an ONNX runtime.

mod common;

use std::path::Path;

use common::{data, ok, png};
use rten::{Model, ModelOptions, Value};

#[test]
fn an_exported_generator_makes_the_same_images() {
    let dir = tempfile::tempdir().unwrap();
    let network = data("network.safetensors");
    let text = ok(dir.path(), &["convert", &network, "g.onnx"]);
    assert!(text.contains("g.onnx"), "{text}");

    let options = ModelOptions::with_all_ops();
    let model = options.load_file(dir.path().join("g.onnx")).unwrap();
    let z = interop::read_tensors(Path::new(&data("z.safetensors"))).unwrap();
    let z = Value::from_shape([2, 32], z.tensors["z"].to_f32()).unwrap();
    let psi = Value::from_shape([0usize; 0], vec![0.7f32]).unwrap();
    let id = |model: &Model, name: &str| model.node_id(name).unwrap();
    let inputs = vec![
        (id(&model, "z"), z.into()),
        (id(&model, "truncation_psi"), psi.into()),
    ];
    let mut outputs = model.run(inputs, &[id(&model, "images")], None).unwrap();
    let (shape, images) = outputs.remove(0).into_shape_vec::<f32, 4>().unwrap();
    assert_eq!(shape, [2, 3, 32, 32]);

    ok(
        dir.path(),
        &[
            "images",
            "-n",
            &network,
            "--z",
            &data("z.safetensors"),
            "--trunc=0.7",
            "-o",
            ".",
        ],
    );
    for i in 0..2 {
        let pixels = png(&dir.path().join(format!("z000{i}.png"))).pixels;
        for (at, ours) in pixels.iter().enumerate() {
            let (pixel, channel) = (at / 3, at % 3);
            let theirs = images[(i * 3 + channel) * 32 * 32 + pixel] * 127.5 + 128.0;
            assert!(
                (theirs as u8).abs_diff(*ours) <= 1,
                "image {i}, byte {at}: {theirs} {ours}"
            );
        }
    }
}
