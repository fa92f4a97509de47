//! Tables, as Markdown has them.

/// Prints a table under a heading; the first column is text.
pub(crate) fn print(heading: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("### {heading}\n");
    line(columns);
    let rule: Vec<&str> =
        columns.iter().enumerate().map(|(nth, _)| if nth == 0 { "---" } else { "---:" }).collect();
    line(&rule);
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    println!();
}

fn line(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}

/// Whole instructions.
pub(crate) fn whole(figure: f64) -> String {
    format!("{figure:.0}")
}

/// Millions.
pub(crate) fn millions(figure: f64) -> String {
    format!("{:.1} M", figure / 1e6)
}

/// Of a floor.
pub(crate) fn times(figure: f64, floor: f64) -> String {
    format!("{:.2}", figure / floor)
}
