"""Every text of the chat, in Brazilian Portuguese and English."""

from galileu_pipeline.languages import Language

_PT = {
    "title": "Galileu",
    "intro": "Converse, avalie as respostas e ajude o modelo a melhorar.",
    "privacy": "O que você escreve e avalia é guardado para melhorar o modelo. Não escreva dados pessoais.",
    "chat_tab": "Conversa",
    "compare_tab": "Lado a lado",
    "statistics_tab": "Estatísticas",
    "question": "Sua pergunta",
    "question_hint": "Pergunte algo a Galileu…",
    "send": "Enviar",
    "stop": "Parar",
    "empty_chat": "Faça uma pergunta para começar.",
    "example_1": "Quem é você?",
    "example_2": "O que você viu pelo telescópio?",
    "example_3": "Por que a Igreja o julgou?",
    "rate": "Avalie a última resposta",
    "rating": "Nota (1 = péssima, 5 = ótima)",
    "comment": "Comentário",
    "comment_hint": "O que está bom ou ruim nesta resposta?",
    "send_comment": "Enviar comentário",
    "correction": "Escreva uma resposta melhor",
    "correction_hint": "Como a resposta deveria ser?",
    "send_correction": "Enviar correção",
    "compare_intro": "Uma pergunta, duas respostas. Os modelos só aparecem depois do seu voto.",
    "compare": "Comparar",
    "left_answer": "Resposta à esquerda",
    "right_answer": "Resposta à direita",
    "left": "◀ A da esquerda é melhor",
    "right": "A da direita é melhor ▶",
    "tie": "Empate",
    "both_bad": "As duas são ruins",
    "blind": "Dois modelos estão sendo comparados; o nome do que respondeu aparece depois do seu voto.",
    "canary": "Em teste: `{model}` responde a **{share}** das pessoas · **{up}** de **{count}** gostaram {interval}",
    "canary_failed": "Retirado do teste: `{model}` · só **{up}** de **{count}** gostaram {interval}",
    "revealed": "Esquerda: **{left}** · Direita: **{right}**",
    "stored": "Obrigado!",
    "attention": "Atenção",
    "thanks": "Sua avaliação foi guardada.",
    "not_stored": "Sua avaliação não pôde ser guardada: {error}",
    "failed": "A resposta não pôde ser gerada ({error}). Tente de novo.",
    "no_answer": "Ainda não há resposta para avaliar.",
    "empty_question": "Escreva uma pergunta.",
    "too_long": "O texto tem {length} caracteres; o limite é {limit}.",
    "too_fast": "Calma! Espere um pouco antes de continuar.",
    "votes_by_day": "Avaliações por dia",
    "ratings": "Notas",
    "verdicts": "Votos lado a lado",
    "day": "Dia",
    "count": "Quantidade",
    "verdict": "Voto",
    "verdict_left": "esquerda",
    "verdict_right": "direita",
    "verdict_tie": "empate",
    "verdict_both_bad": "as duas ruins",
    "leaderboard": "Modelos por força (pelos votos lado a lado)",
    "model": "modelo",
    "strength": "pontos",
    "wins": "vitórias",
    "losses": "derrotas",
    "refresh": "Atualizar",
    "summary": (
        "**{total_feedback}** respostas avaliadas por **{people}** pessoas · "
        "**{thumbs_up}** gostaram · **{thumbs_down}** não gostaram · nota média **{average}** · "
        "**{comments}** comentários · **{preference_pairs}** preferências"
    ),
}

_EN = {
    "title": "Galileu",
    "intro": "Chat, rate the answers, and help the model improve.",
    "privacy": "What you write and rate is kept to improve the model. Please leave out personal data.",
    "chat_tab": "Chat",
    "compare_tab": "Side by side",
    "statistics_tab": "Statistics",
    "question": "Your question",
    "question_hint": "Ask Galileo something…",
    "send": "Send",
    "stop": "Stop",
    "empty_chat": "Ask a question to begin.",
    "example_1": "Who are you?",
    "example_2": "What did you see through the telescope?",
    "example_3": "Why did the Church put you on trial?",
    "rate": "Rate the last answer",
    "rating": "Rating (1 = terrible, 5 = great)",
    "comment": "Comment",
    "comment_hint": "What is good or bad about this answer?",
    "send_comment": "Send comment",
    "correction": "Write a better answer",
    "correction_hint": "What should the answer be?",
    "send_correction": "Send correction",
    "compare_intro": "One question, two answers. The models are shown after your vote.",
    "compare": "Compare",
    "left_answer": "Answer on the left",
    "right_answer": "Answer on the right",
    "left": "◀ Left is better",
    "right": "Right is better ▶",
    "tie": "Tie",
    "both_bad": "Both are bad",
    "blind": "Two models are being compared; the one that answered is named after your vote.",
    "canary": "On trial: `{model}` answers **{share}** of the people · **{up}** of **{count}** liked it {interval}",
    "canary_failed": "Taken off trial: `{model}` · only **{up}** of **{count}** liked it {interval}",
    "revealed": "Left: **{left}** · Right: **{right}**",
    "stored": "Thank you!",
    "attention": "Please note",
    "thanks": "Your feedback is stored.",
    "not_stored": "Your feedback could not be stored: {error}",
    "failed": "The answer could not be generated ({error}). Please try again.",
    "no_answer": "There is no answer to rate yet.",
    "empty_question": "Write a question.",
    "too_long": "The text has {length} characters; the limit is {limit}.",
    "too_fast": "Not so fast! Wait a moment before you go on.",
    "votes_by_day": "Feedback a day",
    "ratings": "Ratings",
    "verdicts": "Side-by-side votes",
    "day": "Day",
    "count": "Count",
    "verdict": "Vote",
    "verdict_left": "left",
    "verdict_right": "right",
    "verdict_tie": "tie",
    "verdict_both_bad": "both bad",
    "leaderboard": "Models by strength (by side-by-side votes)",
    "model": "model",
    "strength": "rating",
    "wins": "wins",
    "losses": "losses",
    "refresh": "Refresh",
    "summary": (
        "**{total_feedback}** answers rated by **{people}** people · "
        "**{thumbs_up}** liked · **{thumbs_down}** disliked · mean rating **{average}** · "
        "**{comments}** comments · **{preference_pairs}** preferences"
    ),
}

TEXTS: dict[Language, dict[str, str]] = {"pt": _PT, "en": _EN}


def language_of(accept_language: str | None) -> Language:
    """The first language of a browser's Accept-Language header that the chat speaks; Portuguese if there is none."""
    for item in (accept_language or "").split(","):
        code = item.split(";")[0].strip().lower().split("-")[0]
        if code == "pt":
            return "pt"
        if code == "en":
            return "en"
    return "pt"


def say(language: Language, key: str, **values: object) -> str:
    """A text with its gaps filled."""
    return TEXTS[language][key].format(**values)
