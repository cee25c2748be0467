//! Recognizes the names of image files.

/// Extensions that Pillow treats as images, in lower case and without the dot. Files with other extensions are not
/// samples.
const EXTENSIONS: &[&str] = &[
    "apng", "avif", "avifs", "blp", "bmp", "bufr", "bw", "cur", "dcx", "dds", "dib", "emf", "eps",
    "fit", "fits", "flc", "fli", "ftc", "ftu", "gbr", "gif", "grib", "h5", "hdf", "icb", "icns",
    "ico", "iim", "im", "j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg", "jpf", "jpg", "jpx",
    "mpeg", "mpg", "mpo", "msp", "palm", "pbm", "pcd", "pcx", "pdf", "pfm", "pgm", "png", "pnm",
    "ppm", "ps", "psd", "pxr", "qoi", "ras", "rgb", "rgba", "sgi", "tga", "tif", "tiff", "vda",
    "vst", "webp", "wmf", "xbm", "xpm",
];

/// Whether the loader treats a file of this name as a sample, whatever its content is.
pub fn is_image_name(name: &str) -> bool {
    let file_name = name.rsplit('/').next().unwrap_or(name);
    // As in Python's `splitext`, leading dots belong to the stem.
    match file_name.trim_start_matches('.').rsplit_once('.') {
        Some((_, extension)) => EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_as_pillow_counts_them() {
        for name in [
            "a.png",
            "x/y.JPG",
            "deep/er/img.WebP",
            "..a.png",
            "a.b.jpeg",
        ] {
            assert!(is_image_name(name), "{name}");
        }
        for name in [
            "dataset.json",
            "png",
            ".png",
            "x.png/readme",
            "a.png.txt",
            "",
            "a.",
            "x/.jpg",
        ] {
            assert!(!is_image_name(name), "{name}");
        }
    }
}
