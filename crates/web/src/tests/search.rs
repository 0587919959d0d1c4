//! The one box for everything.

use super::bed::Bed;

#[tokio::test]
async fn a_vendor_leads_to_the_lists_and_not_to_a_thousand_rows() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    for q in ["hwtc", "HWTC-"] {
        let page = admin.get(&bed, &format!("/search?q={q}")).await.text;
        for (href, text) in
            [("/onus?q=HWTC", "All ONUs of HWTC"), ("/detected?q=HWTC", "All detected ONUs of HWTC")]
        {
            assert!(page.contains(&format!("href=\"{href}\"")) && page.contains(text), "{q}: {page}");
            let list = admin.get(&bed, href).await.text;
            assert!(list.contains("HWTC-"), "the list is not empty: {list}");
        }
    }
    let page = admin.get(&bed, "/search?q=ZTEG").await.text;
    assert!(!page.contains("All ONUs"), "there are none of that vendor: {page}");
}
