"""Names that wikitext uses: namespaces whose links show nothing, languages, other wikis, HTML elements."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Names of the File, Image, Media and Category namespaces in many languages, for text that uses another wiki's or an
#: old name; a dump's own names come from its <siteinfo>.
FILE_NAMES = _words(
    """
    file image media bild datei fichier fichièr archivo imagen ficheiro imagem arquivo immagine bestand afbeelding plik
    grafika файл изображение изображення зображення датотека слика податотека выява fil billede mynd tiedosto kuva kép
    fájl soubor súbor slika datoteka fitxer imatge fitxategi ficheru imaxe archivi archivu fails attēls vaizdas pilt
    dosya resim şəkil fayl rasm hình berkas gambar delwedd restr skeudenn faidhle íomhá ofbyld ofbylding
    lêer imachen imáchen mmàggini mmaggini fiyur rikcha larawan talaksan talaxan payl picha faili dosiero αρχείο εικόνα
    պատկեր קובץ תמונה בילד טעקע ملف صورة پرونده تصویر فائل وینە चित्र सञ्चिका ছবি চিত্র படிமம் దస్త్రం బొమ్మ
    ಚಿತ್ರ പ്രമാണം ചിത്രം ගොනුව ไฟล์ ภาพ ფაილი სურათი сурет зураг файыл скрин ファイル 画像 파일 그림 文件 档案 檔案 图像
    圖像 图片 ဖိုင် រូបភាព ਤਸਵੀਰ ચિત્ર ପ୍ରତିଛବି
    """
) | {"tập tin"}
CATEGORY_NAMES = _words(
    """
    category kategorie catégorie categorie categoría categoria categorìa kategoria категория категорія категорија
    катэгорыя kategori kategorija kategória kategoriya kateqoriya kategorio luokka flokkur bólkur rummad categori
    kategory kategoreja kategorejis kaarangay katiguriya katigoriya catigurìa categurìa categuria jamii aicme
    roinn-seòrsa κατηγορία կատեգորիա קטגוריה קאַטעגאָריע تصنيف رده زمرہ گٹھ بؤلمه پۆل श्रेणी वर्ग वर्गः বিষয়শ্রেণী பகுப்பு
    వర్గం ವರ್ಗ വർഗ്ഗം ප්‍රවර්ගය หมวดหมู่ კატეგორია санат категори ангилал төркем turkum カテゴリ 분류 分類 分类 ကဏ္ဍ
    ចំណាត់ថ្នាក់
    """
) | {"thể loại"}

#: Extensions that mark a file link in whatever language.
MEDIA_EXTENSIONS = tuple(
    sorted(
        _words(
            """
            .jpg .jpeg .png .svg .gif .webp .tif .tiff .xcf .pdf .djvu .ogg .oga .ogv .opus .webm .mp3 .mid .wav .flac
            """
        )
    )
)

#: Languages that have or had a Wikipedia: a link with such a prefix and no leading colon belongs to the sidebar.
LANGUAGES = _words(
    """
    aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az azb ba ban bar bat-smg
    bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca cbk-zam cdo ce ceb ch cho
    chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv dz ee el eml en eo es et eu ext fa fat
    ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak
    haw he hi hif ho hr hsb ht hu hy hyw hz ia iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kaj
    kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld
    lmo ln lo lrc lt ltg lv lzh mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mo mos mr mrj ms mt mus mwl my
    myv mzn na nah nan nap nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag pam
    pap pcd pcm pdc pdt pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru rue rup rw sa sah
    sat sc scn sco sd se sg sgs sh shi shn si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw syl szl szy ta
    tay tcy tdd te tet tg th ti tig tk tl tly tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls
    vo vro wa war wo wuu xal xh xmf yi yo yue za zea zgh zh zh-classical zh-min-nan zh-yue zu
    """
)

#: Prefixes of other wikis: they are not part of what the link shows.
OTHER_WIKIS = _words(
    """
    w wikipedia wp wikt wiktionary s wikisource q wikiquote b wikibooks n wikinews v wikiversity voy wikivoyage species
    wikispecies c commons d wikidata m meta metawiki mw mediawikiwiki phab bugzilla foundation incubator doi hdl arxiv
    pmid iarchive
    """
)

#: Elements that are left out with all they hold.
SKIPPED = _words(
    """
    ref references gallery timeline score imagemap templatestyles graph mapframe maplink hiero categorytree inputbox
    includeonly indicator style script charinsert poll templatedata ruby-rt rt rp languages chart phonos
    """
)
#: Elements whose content is no wikitext and is kept as it stands.
VERBATIM = _words("nowiki pre math chem ce source syntaxhighlight")
#: Elements of which only the tags go: within a line, and with a line of their own.
INLINE = _words(
    """
    a abbr b bdi bdo big cite code data del dfn em font i ins kbd mark noinclude onlyinclude q rb rbc rtc ruby s samp
    section small span strike strong sub sup time tt u var wbr translate tvar img nobr noindex
    """
)
BLOCK = _words(
    """
    blockquote br caption center col colgroup dd div dl dt h1 h2 h3 h4 h5 h6 hr ol p poem tbody tfoot thead tr ul
    """
)
ITEMS = frozenset(["li"])
CELLS = frozenset(["td", "th"])
ROWS = CELLS | {"tr"}

#: A table or a block of these classes is furniture.
FURNITURE = (
    *("infobox", "navbox", "ambox", "mbox", "sidebar", "geobox", "taxobox", "succession-box"),
    *("metadata", "noprint", "navigation"),
)
#: Attributes of a table's cell.
ATTRIBUTES = _words("colspan rowspan style class align valign bgcolor scope data-sort-value width nowrap height id")
#: Names of the argument that holds a template's text.
TEXT_KEYS = ("text", "texte", "content", "code", "quote")
