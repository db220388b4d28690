//! Merkle tree maths of RFC 6962 (algorithms as RFC 9162 §2.1 words them): roots, inclusion proofs,
//! consistency proofs. Pure: hashes come from a function of the caller's, so that they may stand in
//! files, in memory, or nowhere.

use sha2::{Digest, Sha256};

/// A hash of the tree: SHA-256.
pub type Hash = [u8; 32];

/// Hash of a leaf: the entry under prefix 0x00, so that no leaf can be taken for a node.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0u8])
        .chain_update(entry)
        .finalize()
        .into()
}

/// Hash of an inner node: its two children under prefix 0x01.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1u8])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Root of the tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Root over any number of hashes of one level.
pub fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(largest_power_below_usize(hashes.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// Root of the tree of the first `size` leaves.
///
/// `node(level, index)` gives the root of the full subtree of 2^`level` leaves that begins at leaf
/// `index` · 2^`level`; it is asked for O(log n) of them.
///
/// # Errors
/// Whatever `node` returns.
pub fn root<E>(size: u64, node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(empty_root());
    }
    range(0, size, node)
}

/// Inclusion proof of leaf `index` in the tree of `size` leaves, from the leaf upwards; absent if
/// the leaf is not in the tree.
///
/// # Errors
/// Whatever `node` (see [`root`]) returns.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let mut hashes = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + largest_power_below(high - low);
        if index < middle {
            hashes.push(range(middle, high, node)?);
            high = middle;
        } else {
            hashes.push(range(low, middle, node)?);
            low = middle;
        }
    }
    hashes.reverse();
    Ok(Some(hashes))
}

/// Proof that the tree of `old` leaves is a prefix of the tree of `new` leaves; absent if `old` is
/// larger, empty if both are equal or `old` is 0.
///
/// # Errors
/// Whatever `node` (see [`root`]) returns.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old > new {
        return Ok(None);
    }
    let mut hashes = Vec::new();
    if old == 0 || old == new {
        return Ok(Some(hashes));
    }
    let (mut low, mut high) = (0, new);
    let mut from_start = true;
    while old < high {
        let middle = low + largest_power_below(high - low);
        if old <= middle {
            hashes.push(range(middle, high, node)?);
            high = middle;
        } else {
            hashes.push(range(low, middle, node)?);
            low = middle;
            from_start = false;
        }
    }
    if !from_start {
        hashes.push(range(low, high, node)?);
    }
    hashes.reverse();
    Ok(Some(hashes))
}

/// Whether `hashes` prove that the leaf with hash `leaf` is number `index` of the tree of `size`
/// leaves with root `root`.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, hashes: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut first, mut last) = (index, size - 1);
    let mut computed = *leaf;
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            computed = node_hash(hash, &computed);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            computed = node_hash(&computed, hash);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && computed == *root
}

/// Whether `hashes` prove that the tree of `old` leaves with root `old_root` is a prefix of the
/// tree of `new` leaves with root `new_root`.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    hashes: &[Hash],
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return hashes.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return hashes.is_empty() && *old_root == empty_root();
    }
    let (mut first, mut last) = (old - 1, new - 1);
    while first & 1 == 1 {
        first >>= 1;
        last >>= 1;
    }
    // A tree of 2^k leaves is itself a node of the larger one, so the proof leaves it out.
    let (start, rest) = if old.is_power_of_two() {
        (old_root, hashes)
    } else {
        match hashes.split_first() {
            Some(split) => split,
            None => return false,
        }
    };
    let (mut old_computed, mut new_computed) = (*start, *start);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            old_computed = node_hash(hash, &old_computed);
            new_computed = node_hash(hash, &new_computed);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            new_computed = node_hash(&new_computed, hash);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && old_computed == *old_root && new_computed == *new_root
}

/// Root over leaves `low..high`, where `low` is a multiple of a power of two not below the range's
/// length, as every range of RFC 6962's recursion is.
fn range<E>(
    low: u64,
    high: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let length = high - low;
    if length.is_power_of_two() {
        return node(length.trailing_zeros(), low / length);
    }
    let middle = low + largest_power_below(length);
    let left = range(low, middle, node)?;
    let right = range(middle, high, node)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two below `length`, which is at least 2.
fn largest_power_below(length: u64) -> u64 {
    1 << (63 - (length - 1).leading_zeros().min(63))
}

fn largest_power_below_usize(length: usize) -> usize {
    1 << (usize::BITS - 1 - (length - 1).leading_zeros().min(usize::BITS - 1))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use tlog_tiles::{Error, Hash as OracleHash, HashReader};

    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count)
            .map(|index| leaf_hash(&index.to_be_bytes()))
            .collect()
    }

    /// Nodes straight from the definition.
    fn nodes(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash, Infallible> + '_ {
        |level, index| {
            let start = usize::try_from(index << level).unwrap();
            Ok(root_of(&leaves[start..start + (1 << level)]))
        }
    }

    fn root_at(leaves: &[Hash]) -> Hash {
        let size = u64::try_from(leaves.len()).unwrap();
        root(size, &mut nodes(leaves)).unwrap()
    }

    /// The oracle's storage of hashes, filled by the oracle itself.
    #[derive(Default)]
    struct Oracle(Vec<OracleHash>);

    impl HashReader for Oracle {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<OracleHash>, Error> {
            Ok(indexes
                .iter()
                .map(|index| self.0[usize::try_from(*index).unwrap()])
                .collect())
        }
    }

    impl Oracle {
        fn of(count: u64) -> Self {
            let mut oracle = Self::default();
            for index in 0..count {
                let more = tlog_tiles::stored_hashes(index, &index.to_be_bytes(), &oracle).unwrap();
                oracle.0.extend(more);
            }
            oracle
        }
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        assert_eq!(
            crate::digest::hex(&empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        // The reference tree of certificate-transparency's tests.
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves: Vec<Hash> = inputs.iter().map(|input| leaf_hash(input)).collect();
        for (size, expected) in [
            (
                1,
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            ),
            (
                2,
                "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            ),
            (
                3,
                "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            ),
            (
                4,
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ),
            (
                7,
                "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            ),
            (
                8,
                "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
            ),
        ] {
            assert_eq!(
                crate::digest::hex(&root_at(&leaves[..size])),
                expected,
                "size {size}"
            );
        }
    }

    #[test]
    fn every_proof_of_small_trees_verifies_and_no_altered_one_does() {
        for size in 1..=33u64 {
            let leaves = leaves(size);
            let root = root_at(&leaves);
            for index in 0..size {
                let leaf = leaves[usize::try_from(index).unwrap()];
                let proof = inclusion_proof(index, size, &mut nodes(&leaves))
                    .unwrap()
                    .unwrap();
                assert!(verify_inclusion(&leaf, index, size, &proof, &root));
                for other in (0..size).filter(|other| *other != index) {
                    assert!(!verify_inclusion(&leaf, other, size, &proof, &root));
                }
                let mut longer = proof.clone();
                longer.push(root);
                assert!(!verify_inclusion(&leaf, index, size, &longer, &root));
                if !proof.is_empty() {
                    assert!(!verify_inclusion(&leaf, index, size, &proof[1..], &root));
                    let mut altered = proof.clone();
                    altered[0][0] ^= 1;
                    assert!(!verify_inclusion(&leaf, index, size, &altered, &root));
                }
            }
            assert!(
                inclusion_proof(size, size, &mut nodes(&leaves))
                    .unwrap()
                    .is_none()
            );
            assert!(!verify_inclusion(&root, size, size, &[], &root));
        }
    }

    #[test]
    fn every_prefix_of_small_trees_is_proved_and_no_fork_is() {
        let all = leaves(33);
        for new in 0..=33u64 {
            let new_leaves = &all[..usize::try_from(new).unwrap()];
            let new_root = root_at(new_leaves);
            for old in 0..=new {
                let old_root = root_at(&all[..usize::try_from(old).unwrap()]);
                let proof = consistency_proof(old, new, &mut nodes(new_leaves))
                    .unwrap()
                    .unwrap();
                assert!(
                    verify_consistency(old, &old_root, new, &new_root, &proof),
                    "{old} {new}"
                );
                let mut fork = old_root;
                fork[7] ^= 1;
                assert!(!verify_consistency(old, &fork, new, &new_root, &proof));
                assert!(!verify_consistency(old, &old_root, new, &fork, &proof) || old == 0);
                let mut longer = proof.clone();
                longer.push(new_root);
                assert!(!verify_consistency(old, &old_root, new, &new_root, &longer));
                if !proof.is_empty() {
                    assert!(!verify_consistency(
                        old,
                        &old_root,
                        new,
                        &new_root,
                        &proof[1..]
                    ));
                }
            }
            assert!(
                consistency_proof(new + 1, new, &mut nodes(new_leaves))
                    .unwrap()
                    .is_none()
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn roots_and_proofs_are_the_oracles(size in 1u64..700, seed in any::<u64>()) {
            let (index, old) = (seed % size, 1 + (seed >> 32) % size);
            let leaves = leaves(size);
            let oracle = Oracle::of(size);
            let mine = root_at(&leaves);
            let theirs = tlog_tiles::tree_hash(size, &oracle).unwrap();
            prop_assert_eq!(mine, theirs.0);

            let proof = inclusion_proof(index, size, &mut nodes(&leaves)).unwrap().unwrap();
            let record = tlog_tiles::prove_record(size, index, &oracle).unwrap();
            prop_assert_eq!(&proof, &record.iter().map(|hash| hash.0).collect::<Vec<_>>());

            let proof = consistency_proof(old, size, &mut nodes(&leaves)).unwrap().unwrap();
            if old < size {
                let tree = tlog_tiles::prove_tree(size, old, &oracle).unwrap();
                prop_assert_eq!(&proof, &tree.iter().map(|hash| hash.0).collect::<Vec<_>>());
            }
            let old_root = root_at(&leaves[..usize::try_from(old).unwrap()]);
            prop_assert!(verify_consistency(old, &old_root, size, &mine, &proof));
        }

        #[test]
        fn a_random_proof_never_verifies(
            index in any::<u64>(), size in any::<u64>(),
            hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70), root in any::<[u8; 32]>(),
        ) {
            prop_assert!(!verify_inclusion(&[7; 32], index, size, &hashes, &root));
            prop_assert!(!verify_consistency(index, &[7; 32], size, &root, &hashes));
        }
    }
}
