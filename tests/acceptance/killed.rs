//! placeholder
use super::exchange_site::*;
use std::time::Instant;
#[test]
fn timing() {
    let t = Instant::now();
    let site = ExchangeSite::on_files();
    eprintln!("template {:?}", t.elapsed());
    let mut run = site.start_run();
    let before = site.checkpoint();
    run.reaches(|| site.path("outbox").join(GRANT).exists()); eprintln!("attempt {:?}", run.elapsed());
    run.reaches(|| site.checkpoint() != before); eprintln!("intent {:?}", run.elapsed());
    run.reaches(|| site.objects().iter().any(|o| o.ends_with("manifest.json"))); eprintln!("manifest {:?}", run.elapsed());
    let e = run.ended();
    eprintln!("{:?}", e);
    eprintln!("{:?}", site.only_delivery());
    eprintln!("{:?} {:?}", site.objects(), site.releases(GRANT));
    let e = site.run(); eprintln!("{:?}", e);
    let server = server();
    let site = ExchangeSite::on_s3(&server);
    let e = site.run(); eprintln!("{:?}", e);
    eprintln!("{:?}", site.only_delivery());
    let e = site.run(); eprintln!("{:?}", e);
}
