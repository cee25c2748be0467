//! Draws faces side by side: `cargo run -p sample --example sheet -- sheet.png [COLUMNS ROWS SIZE FIRST_SEED]`.

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u32| {
        args.get(i)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (columns, rows, size, first) = (number(2, 6), number(3, 4), number(4, 256), number(5, 0));
    let mut sheet = image::RgbImage::new(columns * size, rows * size);
    for i in 0..columns * rows {
        let face = sample::face(first + i, size);
        let (x, y) = (i % columns * size, i / columns * size);
        image::imageops::replace(&mut sheet, &face, i64::from(x), i64::from(y));
    }
    let path = args.get(1).map_or("sheet.png", String::as_str);
    sheet.save(path).expect("the sheet can be written");
}
