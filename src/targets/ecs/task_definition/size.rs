//! CPU and memory of a task: accepted notations, and the sizes of Fargate (aws.md §6.1). Pure.

/// CPU units of `256`, `1 vCPU` or `.25 vcpu`; `None` for other text.
pub fn cpu_units(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    match unit.as_str() {
        "" => number.parse().ok(),
        "vcpu" => times_1024(number),
        _ => None,
    }
}

/// MiB of `512`, `2GB` or `2 GB`; `None` for other text.
pub fn memory_mib(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    match unit.as_str() {
        "" => number.parse().ok(),
        "gb" => times_1024(number),
        _ => None,
    }
}

fn split_unit(text: &str) -> (&str, String) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim().to_ascii_lowercase())
}

/// 1024 times a decimal number, if that is whole.
fn times_1024(number: &str) -> Option<u64> {
    let value: f64 = number.parse().ok()?;
    let scaled = value * 1024.0;
    let good = (0.0..1e9).contains(&scaled) && scaled.fract() == 0.0;
    // Whole and below 1e9, so the cast is exact.
    good.then_some(scaled as u64)
}

/// The memory sizes of Fargate in MiB for a number of CPU units; empty if there are none.
pub fn fargate_memory_mib(cpu: u64) -> Vec<u64> {
    let range = |from: u64, to: u64, step: usize| (from..=to).step_by(step).collect();
    match cpu {
        256 => vec![512, 1024, 2048],
        512 => range(1024, 4096, 1024),
        1024 => range(2048, 8192, 1024),
        2048 => range(4096, 16_384, 1024),
        4096 => range(8192, 30_720, 1024),
        8192 => range(16_384, 61_440, 4096),
        16_384 => range(32_768, 122_880, 8192),
        // Documented since 2026, rejected in some regions: the caller warns.
        32_768 => vec![61_440, 122_880, 249_856],
        _ => Vec::new(),
    }
}

/// The CPU sizes that Fargate offers, in units.
pub const FARGATE_CPU_UNITS: [u64; 8] = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_aws_reads_them() {
        assert_eq!(
            ["1024", "1 vCPU", ".25 vcpu", "0.5vCPU"].map(cpu_units),
            [Some(1024), Some(1024), Some(256), Some(512)]
        );
        assert_eq!(
            ["2048", "2GB", "2 GB", "0.5 GB"].map(memory_mib),
            [Some(2048), Some(2048), Some(2048), Some(512)]
        );
        assert_eq!([cpu_units("1 GB"), memory_mib("1 vCPU"), cpu_units("lots"), cpu_units("")], [None; 4]);
    }

    #[test]
    fn fargate_sizes_are_the_published_ones() {
        let counts = FARGATE_CPU_UNITS.map(|cpu| fargate_memory_mib(cpu).len());
        assert_eq!(counts, [3, 4, 7, 13, 23, 12, 12, 3]);
        assert!(fargate_memory_mib(300).is_empty());
    }
}
