//! Prints a summary of a checkpoint file as JSON, and converts it if a second file is given: `cargo run -p interop
//! --example describe -- FILE [CONVERTED]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).map(std::path::PathBuf::from);
    let path = args.next().ok_or("usage: describe FILE [CONVERTED]")?;
    println!(
        "{}",
        serde_json::to_string_pretty(&interop::describe(&path)?)?
    );
    if let Some(output) = args.next() {
        println!("{:#?}", interop::convert(&path, &output)?);
    }
    Ok(())
}
