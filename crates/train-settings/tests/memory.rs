//! Checks the predicted memory of runs with NVIDIA's presets.

use networks::Precision;
use train_settings::{DatasetDescription, Overrides, resolve};
use training::{MemoryEstimate, Preset};

fn predicted(resolution: usize, preset: Preset, batch_gpu: Option<usize>) -> MemoryEstimate {
    let dataset = DatasetDescription {
        name: "faces".into(),
        path: String::new(),
        resolution,
        num_channels: 3,
        num_images: 10,
        label_dim: 0,
        fingerprint: None,
    };
    let flags = Overrides {
        batch_gpu,
        ..Overrides::default()
    };
    let config = resolve(preset, &dataset, &flags).unwrap();
    let full = config.predicted_memory(Precision::Full).unwrap();
    let half = config.predicted_memory(Precision::F16).unwrap();
    // Nearly all activations belong to the largest resolutions; images in the augmentation pipe remain f32.
    let share = half.activations as f64 / full.activations as f64;
    assert!((0.5..0.75).contains(&share), "{share}");
    assert_eq!(half.weights, full.weights);
    full
}

#[test]
fn known_numbers_are_counted() {
    let paper = predicted(512, Preset::Paper512, None);
    // Generator and discriminator of NVIDIA's architecture at 512 px have 30.0 and 28.9 million values.
    let millions = paper.weights as f64 / 1e6;
    assert!((1040.0..1090.0).contains(&millions), "{millions}");
    assert_eq!(paper.images, 7 * 64 * 3 * 512 * 512);
    // Half the micro-batch needs half the activations, but the same weights and images.
    let halved = predicted(512, Preset::Paper512, Some(4));
    assert_eq!(halved.activations, paper.activations / 2);
    assert_eq!(
        (halved.weights, halved.images),
        (paper.weights, paper.images)
    );
}
