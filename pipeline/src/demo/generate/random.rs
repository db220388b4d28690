//! A small splittable generator of pseudo-random numbers.
//!
//! `SplitMix64` (Steele, Lea, Flood 2014). Every row has a generator of its own, made of seed,
//! table and row number, so that a row's content does not depend on which rows were generated
//! before it. Floats are made with the basic IEEE operations only: the mathematics library of a
//! platform would otherwise decide the last bit of an income.
#![expect(
    clippy::as_conversions,
    reason = "cutting random bits to a width is what this is for"
)]

/// Distance between two states, 2^64 divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Scrambles 64 bits: the output function of `SplitMix64`, a bijection.
pub(super) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The generator of one row.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The generator of row `row` of the table numbered `table`.
    pub(super) fn of(seed: u64, table: u64, row: u64) -> Self {
        Self(mix(
            mix(seed ^ table.wrapping_mul(STEP)).wrapping_add(row.wrapping_mul(STEP))
        ))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number from 0 to `limit` - 1; 0 where `limit` is 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(limit)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// One of the items.
    #[expect(
        clippy::indexing_slicing,
        reason = "below(len) is an index, and tables are not empty"
    )]
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }

    /// A draw of mean 0 and deviation 1, close to normal, within ±3.47: the sum of four uniforms.
    pub(super) fn normal(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = [bits, bits >> 16, bits >> 32, bits >> 48]
            .map(|part| part & 0xFFFF)
            .iter()
            .sum();
        (sum as f64 - 131_070.0) / 37_837.2
    }

    /// A number of `mean` cents on the logarithmic scale: e^(`location` + `scale` · normal), in
    /// hundredths.
    pub(super) fn log_normal_cents(&mut self, location: f64, scale: f64) -> i64 {
        (exp(location + scale * self.normal()) * 100.0).round() as i64
    }
}

/// e^x for |x| below 700, the same on every platform.
fn exp(x: f64) -> f64 {
    let power = (x * std::f64::consts::LOG2_E).round();
    let rest = x - power * std::f64::consts::LN_2;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..=14 {
        term *= rest / f64::from(n);
        sum += term;
    }
    sum * f64::from_bits(((1023 + power as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_limit_and_reach_all_of_it() {
        let mut random = Random::of(1, 2, 3);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1200).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn normal_has_mean_nought_and_deviation_one() {
        let mut random = Random::of(7, 0, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn own_exponential_agrees_with_the_library() {
        for n in -200..200 {
            let x = f64::from(n) / 10.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "{x}");
        }
    }
}
