//! Draws faces side by side into a PNG:
//! `cargo run -p synthetic-dump --example sheet -- sheet.png [COLUMNS ROWS SIZE FIRST_SEED]`.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u32| {
        let given = args.get(i).map(|text| text.parse());
        given.unwrap_or(Ok(default))
    };
    let (columns, rows) = (number(2, 7)?, number(3, 3)?);
    let (size, first) = (number(4, 128)?, number(5, 100)?);
    let mut sheet = image::RgbImage::new(columns * size, rows * size);
    for i in 0..columns * rows {
        let face = synthetic_dump::face(first + i, size);
        let (x, y) = (i % columns * size, i / columns * size);
        image::imageops::replace(&mut sheet, &face, i64::from(x), i64::from(y));
    }
    let file = std::fs::File::create(args.get(1).map_or("sheet.png", String::as_str))?;
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
    sheet.write_with_encoder(encoder)?;
    Ok(())
}
