//! Noise of three distributions, made of the bits of a draw.
//!
//! Logarithm and quantile are written out in additions, multiplications, divisions and square
//! roots, which IEEE 754 fixes to the last bit; those of a system's library differ from machine to
//! machine, and with them an audit's second run would.

#![expect(
    clippy::as_conversions,
    reason = "kernel: conversions between floats and whole counts"
)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;

/// Which noise is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Every amount from -scale to scale is equally likely.
    Uniform,
    /// Two-sided exponential; the scale is the mean absolute amount. Never more than 45 scales.
    Laplace,
    /// Normal; the scale is the standard deviation. Never more than 10 scales.
    Gaussian,
}

/// Bits of a scale that a double is multiplied by; what is below them is drawn bit by bit.
const SCALE_BITS: u32 = 40;

impl Distribution {
    /// The noise in units, for a scale of `scale` units: exact over the whole range, so that its
    /// last digits hide the value's as well as its first.
    #[inline]
    pub(crate) fn units(self, draw: Draw, scale: u128) -> i128 {
        if self == Self::Uniform {
            // Twice the scale must be countable.
            let scale = scale.min((1 << 126) - 1);
            return draw.below(2 * scale + 1) as i128 - scale as i128;
        }
        let surplus = (u128::BITS - scale.leading_zeros()).saturating_sub(SCALE_BITS);
        let coarse = (self.standard(draw) * (scale >> surplus) as f64).round() as i128;
        if surplus == 0 {
            return coarse;
        }
        let size = 1_i128.checked_shl(surplus).unwrap_or(i128::MAX);
        let fine = (draw.second >> (u128::BITS - surplus)) as i128 - size / 2;
        coarse.saturating_mul(size).saturating_add(fine)
    }

    /// The noise for a scale of 1.
    #[inline]
    pub(crate) fn standard(self, draw: Draw) -> f64 {
        let word = (draw.first >> 64) as u64;
        if self == Self::Uniform {
            // 53 bits over the range from -1 to 1.
            return (word >> 11) as f64 * f64::EPSILON - 1.0;
        }
        // The chance of a greater amount on this side, between 0 and a half; then the side.
        let tail = ((word >> 1) as f64 + 0.5) * TWO_TO_MINUS_64;
        let amount = if self == Self::Laplace {
            -ln(2.0 * tail)
        } else {
            normal_quantile(tail)
        };
        if word & 1 == 0 { amount } else { -amount }
    }
}

const TWO_TO_MINUS_64: f64 = 1.0 / 18_446_744_073_709_551_616.0;

/// The natural logarithm of a normal number greater than zero.
fn ln(number: f64) -> f64 {
    let bits = number.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1022;
    // Between a half and one; brought to between the root of a half and its double.
    let mut fraction = f64::from_bits(bits & 0x000F_FFFF_FFFF_FFFF | 0x3FE0_0000_0000_0000);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    // ln(f) = 2 artanh((f - 1) / (f + 1)), a series in odd powers below 0.172.
    let ratio = (fraction - 1.0) / (fraction + 1.0);
    let square = ratio * ratio;
    let odd = [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
    let series = odd.iter().fold(0.0, |sum, odd| sum * square + 1.0 / odd);
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * ratio * series
}

/// The value of a polynomial whose coefficients begin with the highest power.
fn polynomial(coefficients: [f64; 8], at: f64) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, coefficient| sum * at + coefficient)
}

/// Numerator and denominator of a rational function, highest powers first.
type Rational = ([f64; 8], [f64; 8]);

/// The value of a rational function.
fn rational((numerator, denominator): Rational, at: f64) -> f64 {
    polynomial(numerator, at) / polynomial(denominator, at)
}

/// How far out the normal distribution leaves a tail of that probability, up to a half.
///
/// Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
/// Statistics 37 (1988), PPND16: exact to about 1 in 10^16.
fn normal_quantile(tail: f64) -> f64 {
    let distance = 0.5 - tail;
    if distance <= 0.425 {
        return distance * rational(MIDDLE, 0.180_625 - distance * distance);
    }
    let root = (-ln(tail)).sqrt();
    if root <= 5.0 {
        rational(SIDE, root - 1.6)
    } else {
        rational(END, root - 5.0)
    }
}

#[expect(
    clippy::excessive_precision,
    clippy::unreadable_literal,
    reason = "as published"
)]
const MIDDLE: Rational = (
    [
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.3871328727963666080,
    ],
    [
        5226.4952788528545610,
        28729.085735721942674,
        39307.895800092710610,
        21213.794301586595867,
        5394.1960214247511077,
        687.18700749205790830,
        42.313330701600911252,
        1.0,
    ],
);

#[expect(
    clippy::excessive_precision,
    clippy::unreadable_literal,
    reason = "as published"
)]
const SIDE: Rational = (
    [
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258,
        3.64784832476320460504,
        5.76949722146069140550,
        4.63033784615654529590,
        1.42343711074968357734,
    ],
    [
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940,
        2.05319162663775882187,
        1.0,
    ],
);

#[expect(
    clippy::excessive_precision,
    clippy::unreadable_literal,
    reason = "as published"
)]
const END: Rational = (
    [
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580,
        5.46378491116411436990,
        6.65790464350110377720,
    ],
    [
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ],
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Distribution; 3] = [
        Distribution::Uniform,
        Distribution::Laplace,
        Distribution::Gaussian,
    ];

    /// The most noise there is, in scales.
    fn bound(distribution: Distribution) -> i128 {
        match distribution {
            Distribution::Uniform => 1,
            Distribution::Laplace => 45,
            Distribution::Gaussian => 10,
        }
    }

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (tail, expected) in [
            (0.5, 0.0),
            (0.25, 0.674_489_750_196_081_7),
            (0.158_655_253_931_457_05, 1.0),
            (0.05, 1.644_853_626_951_472_2),
            (0.001, 3.090_232_306_167_813_5),
            (1e-12, 7.034_483_825_301_131),
        ] {
            assert!((normal_quantile(tail) - expected).abs() < 1e-13, "{tail}");
        }
    }

    /// Mean and mean square over draws that cover the unit interval evenly.
    fn moments(distribution: Distribution) -> (f64, f64) {
        let count = 1 << 16;
        let values = (0..count).map(|index: u128| {
            let first = (index << 112) | (1 << 111);
            let side = (index.count_ones() as u128 & 1) << 64;
            distribution.standard(Draw {
                first: first | side,
                second: 0,
            })
        });
        let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), value| {
            (sum + value, squares + value * value)
        });
        (sum / count as f64, squares / count as f64)
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        for (distribution, square) in [
            (Distribution::Uniform, 1.0 / 3.0),
            (Distribution::Laplace, 2.0),
            (Distribution::Gaussian, 1.0),
        ] {
            let (mean, mean_square) = moments(distribution);
            assert!(mean.abs() < 0.01, "{distribution:?} {mean}");
            assert!(
                (mean_square - square).abs() < 0.01,
                "{distribution:?} {mean_square}"
            );
        }
    }

    #[test]
    fn a_large_scale_leaves_no_last_digit_alone() {
        // Were the noise a multiple of a power of two, the value's last bits would show.
        for distribution in ALL {
            let odd = (0..64_u128).filter(|index| {
                let bits = index.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
                let draw = Draw {
                    first: bits,
                    second: bits.rotate_left(50),
                };
                distribution.units(draw, 10_u128.pow(30)) & 1 == 1
            });
            let odd = odd.count();
            assert!((16..=48).contains(&odd), "{distribution:?} {odd}");
        }
    }

    #[test]
    fn the_rarest_draws_stay_within_the_bounds() {
        for distribution in ALL {
            for first in [0, 1 << 64, u128::MAX, u128::MAX - (1 << 64), u128::MAX >> 1] {
                for second in [0, u128::MAX] {
                    for scale in [1, 3, 1 << 40, (1 << 40) + 1, 10_u128.pow(30)] {
                        let noise = distribution.units(Draw { first, second }, scale);
                        let limit = bound(distribution) * i128::try_from(scale).unwrap();
                        assert!(noise.abs() <= limit, "{distribution:?} {scale} {noise}");
                    }
                    let _ = distribution.units(Draw { first, second }, u128::MAX);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_logarithm_agrees_with_the_system(number in 1e-300_f64..1e300, part in 0.0_f64..1.0) {
            for number in [number, part + f64::MIN_POSITIVE] {
                prop_assert!((ln(number) - number.ln()).abs() <= number.ln().abs() * 1e-14 + 1e-16);
            }
        }

        #[test]
        fn noise_in_units_agrees_with_noise_in_doubles(first: u128, second: u128, scale in 1_u64..) {
            for distribution in ALL {
                let draw = Draw { first, second };
                let exact = distribution.units(draw, scale.into()) as f64;
                let float = distribution.standard(draw) * scale as f64;
                prop_assert!((exact - float).abs() <= 1.0 + scale as f64 * 1e-9);
            }
        }
    }
}
