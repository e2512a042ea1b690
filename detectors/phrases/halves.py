"""Chinese characters that writers take apart into two others, as 马扁 for 骗."""

from __future__ import annotations

from collections.abc import Iterator

# The character, then its two halves as they are typed; those that are met in phrases of the kinds that packs have.
_TAKEN_APART = """
骗马扁 妈女马 他亻也 你亻尔 她女也 好女子 奶女乃 妓女支 婊女表 嫖女票 滚氵衮 死歹匕 操扌喿 打扌丁 枪木仓
赌贝者 钱钅戋 加力口 信亻言 转车专 账贝长 赔贝咅 现王见 码石马 猪犭者 狗犭句 脑月囟 假亻叚 保亻呆 证讠正
贱贝戋 屎尸米 尿尸水 屁尸比 贷代贝 费弗贝 红纟工 绝纟色 对又寸 利禾刂 砍石欠 砸石匝 炸火乍 烂火兰 诈讠乍
讨讠寸 驴马户 笨竹本 贼贝戎 脏月庄 肥月巴 胖月半 股月殳 群君羊 银钅艮 号口丂 吃口乞 吸口及 喝口曷 啥口舍
呸口不 吗口马 咬口交 嘴口觜 躲身朵 拉扌立 找扌戈 投扌殳 诉讠斥 掉扌卓 拍扌白 抢扌仓 扔扌乃 搞扌高 抓扌爪
捅扌甬 拿合手 草艹早 肏入肉 屌尸吊 弄王廾 残歹戋 疯疒风 病疒丙 娘女良 奸女干 嫁女家 妹女未 姐女且 睡目垂
裸衤果 胡古月 明日月 朋月月 林木木 相木目 棍木昆 权木又 杯木不 洗氵先 活氵舌 法氵去 没氵殳 酒氵酉 封圭寸
刮舌刂 剁朵刂 割害刂 彩采彡 影景彡 歌哥欠 欺其欠 鸡又鸟 鸭甲鸟 独犭虫 狼犭良 狠犭艮 猾犭骨 付亻寸 代亻弋
价亻介 便亻更 优亻尤 低亻氐 返反辶 退艮辶 送关辶 逼畐辶 这文辶 还不辶 约纟勺 给纟合 私禾厶 秘禾必 稳禾急
和禾口 种禾中 税禾兑 联耳关 聊耳卯 职耳只 谁讠隹 说讠兑 话讠舌 课讠果 认讠人 让讠上 评讠平 诚讠成 购贝勾
财贝才 败贝攵 贿贝有 赂贝各 赚贝兼 赠贝曾 收丩攵 放方攵 政正攵 故古攵 教孝攵 数娄攵 敌舌攵
"""

HALVES: dict[str, str] = {written[0]: written[1:] for written in _TAKEN_APART.split()}
"""Simplified character -> its two halves."""


def in_halves(phrase: str) -> Iterator[str]:
    """A folded phrase of at least two characters with one of them as its halves."""
    for place, character in enumerate(phrase):
        if character in HALVES and len(phrase) > 1:
            yield f"{phrase[:place]}{HALVES[character]}{phrase[place + 1 :]}"
